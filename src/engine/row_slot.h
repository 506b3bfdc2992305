// The tuple slot of our tables: a virtual slot that fetches its values only when they are asked for.
//
// A row is stored by reference: to a tail tuple on a page that its scan keeps pinned, or to a row of a granule that its scan
// keeps open. The reference is good until the scan moves on; whoever keeps a row longer materialises or copies it, as the
// executor does.
#pragma once

#include "engine/server.h"
//
#include "engine/granule.h"

namespace historian::engine {

struct RowSlot {
    VirtualTupleTableSlot base;  // must be first: PostgreSQL sees a TupleTableSlot
    HeapTuple tail_tuple;        // the row on its page, or nullptr
    HeapTupleData tail_space;
    Granule *granule;    // the row's granule, or nullptr
    uint32 row;          // in the granule
    const bool *needed;  // columns worth fetching, or nullptr for all; the others read as NULL
    TransactionId xmin;  // of the row, or of its segment
    CommandId cmin;
};

extern const TupleTableSlotOps kRowSlotOps;

inline bool is_row_slot(const TupleTableSlot *slot) { return slot->tts_ops == &kRowSlotOps; }

/// Stores a tail row; tuple's header must stay on its pinned page. The slot copies the HeapTupleData.
void store_tail_row(TupleTableSlot *slot, const HeapTupleData &tuple, const bool *needed);

/// Stores a row of a granule.
void store_sealed_row(TupleTableSlot *slot, Granule *granule, uint32 row, const bool *needed);

}  // namespace historian::engine
