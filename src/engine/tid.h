// TIDs of sealed rows; the layout stands in format/page_layout.h.
#pragma once

#include "engine/server.h"
//
#include "format/page_layout.h"

namespace historian::engine {

inline constexpr int kSealedRowBits = 22;

inline void set_sealed_tid(ItemPointer tid, uint32 slot, uint32 row) {
    const uint64 address = static_cast<uint64>(slot) << kSealedRowBits | row;
    ItemPointerSet(tid, format::kSealedBlockBit | static_cast<uint32>(address >> 15),
                   static_cast<OffsetNumber>((address & 0x7FFF) + 1));
}

inline bool is_sealed_tid(ItemPointer tid) { return (ItemPointerGetBlockNumberNoCheck(tid) & format::kSealedBlockBit) != 0; }

struct SealedAddress {
    uint32 slot;
    uint32 row;
};

inline SealedAddress sealed_address(ItemPointer tid) {
    const uint64 block = ItemPointerGetBlockNumberNoCheck(tid) & ~format::kSealedBlockBit;
    const uint64 address = block << 15 | static_cast<uint64>((ItemPointerGetOffsetNumberNoCheck(tid) - 1) & 0x7FFF);
    return {static_cast<uint32>(address >> kSealedRowBits), static_cast<uint32>(address & ((1u << kSealedRowBits) - 1))};
}

}  // namespace historian::engine
