// One source of rows in order of tag and time: a segment, or rows of the tail. It stands at one tag, and within the tag at one
// row or before a part of it, a granule, that is not decoded yet.
//
// A segment is sorted so already: of each tag it is read granule by granule from one end to the other, and one of them is open at
// a time. Only rows without a time may have to change their place: they lie before all others of their tag, and are given in a
// pass of their own, first or last.
#pragma once

#include "engine/scan_search.h"
#include "engine/scan_state.h"
#include "engine/tag_order.h"
#include "engine/tail_rows.h"

namespace historian::engine {

/// The place of a row in the order of a scan: of rows with equal tag and time the source decides, then the row.
struct RowPlace {
    TagKey tag;
    TimeKey time;
    uint32 source;
    int64 row;  // in its segment, or among the tail's rows
};

/// A granule, and what the filter's ranges of values leave of its rows.
struct TagGranule {
    Granule *granule;
    FoundRows found;
};

/// Granules that nobody reads, for the next one that needs one.
struct GranulePool {
    TagGranule **idle;
    uint32 idle_count;
    uint32 idle_room;
    uint32 lent_count;
};

/// What the sources of a scan share.
struct SourceSetup {
    TableScan *scan;
    MemoryContext context;  // of sources; reset when the scan starts again or turns around
    TupleDesc desc;
    TagOrder order;  // in the direction of the scan
    GranulePool granules;
    bool has_turned;
    RowPlace turned_at;  // rows behind it are wanted
};

/// Whole tags of a segment, some at a time.
struct TagNames {
    MemoryContext context;
    format::TagList list;
    uint32 first;
    uint32 count;
};

struct TagSource {  // all zeros: not open
    uint32 number;
    uint32 item;
    bool is_open;
    bool is_tail;
    bool is_passed;  // all its rows lie before the place where the scan has turned around
    uint32 page;     // of a tail source that is not open: the one page that it stands for
    TagKey tag;      // where it stands; of a source that is not open: none of its tags comes before it
    TimeKey bound;   // of the current row; before it is known: no row of the tag that is left comes before it
    bool has_row;
    MemoryContext memory;  // of an open source

    // Its tags: positions [tags_begin, tags_end) are wanted, and position 0, NULL, may be.
    bool has_null_tag;
    bool wants_null_tag;
    uint32 tags_begin;
    uint32 tags_end;
    int64 position;
    int64 filter_index;  // of the position among the filter's tags, if it has some

    // The parts of the tag: granules, or the one span of tail rows.
    int64 part_first;
    int64 part_last;
    int64 part;
    bool is_second_pass;
    bool may_have_turned;  // the tag is the one where the scan has turned around
    int64 first;           // rows [first, end) of the part
    int64 end;
    int64 row;

    OpenSegment segment;
    RowSet deleted;
    const uint64 *wanted;  // granules, or nullptr for all
    TagNames names;
    TagGranule *open;  // nullptr: none

    TailRows tail;
};

/// Opens a segment and goes to its first tag that the filter leaves, not before the one where the scan has turned around; false
/// when there is none.
bool open_segment_source(SourceSetup *setup, TagSource *source);

/// The same for rows of the tail.
bool open_tail_source(SourceSetup *setup, TagSource *source, const TailRows &rows);

/// Goes to the next tag; false at the end. The source then still has to be closed.
bool next_tag(SourceSetup *setup, TagSource *source);

/// Before the first row of the source's tag; false when there is none.
bool begin_tag(SourceSetup *setup, TagSource *source);

/// Goes from the current row to the next, or opens the part that comes next. When that part has no more rows, the source stands
/// before the next one, which is not opened (has_row is false). False at the end of the tag.
bool advance_in_tag(SourceSetup *setup, TagSource *source);

/// The current row's time.
TimeKey time_of_row(SourceSetup *setup, const TagSource *source);

/// A number of the current row that grows in each source as rows are stored.
int64 place_of_row(const TagSource *source);

/// After the last row of a tag that is wanted: a granule of this tag alone is given back.
void end_tag(SourceSetup *setup, TagSource *source);

void close_source(SourceSetup *setup, TagSource *source);

}  // namespace historian::engine
