// Seal and merge: one routine that turns closed tail runs and small segments into larger segments.
//
// It is an ordinary transaction X that writes new segments with xmin = X and stamps xmax = X on the sources, so every snapshot
// sees each row exactly once: those that see X in the new place, the others in the old one. The interleavings stand in
// src/engine/README.md.
//
// Invariants:
//   1. A tail run is closed before it is read (rule R2), and read only when the inserters of all its rows are over (rules R3,
//   R4).
//   2. Sources are chosen and read under the maintenance lock and a registered snapshot (rule R10).
//   3. Sources keep free_after, the next xid at the swap, and live until no snapshot needs them (rule R5).
//   4. It never runs inside a user's transaction block (rule R9), and neither INSERT nor SELECT ever waits for it. Statements
//   that delete wait while the gate is closed: from the second look at the sources (seal_carry.h) to the commit.
#pragma once

#include "engine/server.h"
//
#include "codec/effort.h"

namespace historian::engine {

/// A share that no segment reaches.
inline constexpr double kRewriteNothing = 2;

struct SealRequest {
    bool close_open_run;      // close the run that takes new rows, so that it can be sealed too
    uint32 merge_rows_below;  // merge segments with fewer rows than this ...
    uint32 merge_count_min;   // ... when there are at least so many of them, closed runs included
    uint32 by_tag_count_min;  // merge larger ones by tag when at least so many hold the same tags side by side; 0: never
    codec::Effort effort;     // what merging packs with; what was packed hard stays so in any case
    bool wait;                // for the maintenance lock
    // Pack all hard: when nothing else is to be done, also segments that are not, if they are older than made_before.
    bool repack;
    // Rewrite segments of which at least this share of the rows is deleted for good, if they are older than made_before.
    double rewrite_share;
    // Rewrite segments that reach to block move_from or beyond, so that the file can shrink (InvalidBlockNumber: none), if they
    // are older than made_before.
    BlockNumber move_from;
    BlockNumber place_from;     // what is written lies here or beyond; 0: anywhere
    TransactionId made_before;  // what a call has just written it does not write again
};

struct SealOutcome {
    uint32 sources;   // runs and segments superseded
    uint32 segments;  // segments written
    uint64 rows;
    bool more;  // the bounds of one transaction were reached: call again
    bool busy;  // statements that delete rows were in the way: call again later
};

/// One bounded step; the caller commits. A transaction with an active snapshot is in progress.
SealOutcome seal_step(Relation rel, const SealRequest &request);

/// What release_unneeded() did with the entries that are out of force.
struct Released {
    uint32 freed;
    uint32 kept;  // some snapshot may still need them
};

/// Frees entries that no snapshot needs any more: superseded ones and those of transactions that never committed. The caller
/// holds the maintenance lock.
Released release_unneeded(Relation rel);

}  // namespace historian::engine
