#include "bgworker/payload_options.h"

#include <string>

#include <gtest/gtest.h>

namespace historian::bgworker {
namespace {

TEST(PayloadOptions, AreSetByName) {
    PayloadOptions options;
    EXPECT_EQ(set_payload_option("format", "CSV", &options), nullptr);
    EXPECT_EQ(options.format, PayloadFormat::csv);
    EXPECT_EQ(set_payload_option("format", "influx", &options), nullptr);
    EXPECT_EQ(options.format, PayloadFormat::line_protocol);
    EXPECT_EQ(set_payload_option("timeformat", "ms", &options), nullptr);
    EXPECT_EQ(options.time_unit, TimeUnit::milliseconds);
    EXPECT_EQ(set_payload_option("tz", "Asia/Seoul", &options), nullptr);
    EXPECT_EQ(options.time_zone, "Asia/Seoul");
    EXPECT_EQ(set_payload_option("tz", "Local", &options), nullptr);
    EXPECT_EQ(options.time_zone, "");
    EXPECT_EQ(set_payload_option("header", "columns", &options), nullptr);
    EXPECT_EQ(options.header, CsvHeader::columns);
    EXPECT_EQ(set_payload_option("delimiter", ";", &options), nullptr);
    EXPECT_EQ(options.delimiter, ';');
    EXPECT_EQ(set_payload_option("delimiter", "\\t", &options), nullptr);
    EXPECT_EQ(options.delimiter, '\t');
    EXPECT_EQ(set_payload_option("compress", "GZIP", &options), nullptr);
    EXPECT_EQ(set_payload_option("unit", "degrees", &options), nullptr) << "not ours";
    EXPECT_EQ(set_payload_option("Format", "xml", &options), nullptr) << "names are exact";
}
TEST(PayloadOptions, SayWhatTheyTake) {
    PayloadOptions options;
    EXPECT_STREQ(set_payload_option("format", "xml", &options), "is not one of json, ndjson, csv, influx, number, auto");
    EXPECT_STREQ(set_payload_option("timeformat", "", &options), "is not one of s, ms, us, ns, text");
    EXPECT_STREQ(set_payload_option("header", "yes", &options), "is not one of skip, columns, none");
    EXPECT_STREQ(set_payload_option("compress", "lz4", &options), "is not one of gzip, zstd, none");
    for (const char *bad : {"", ",,", "\"", "\n", "\xc3\xa9"}) {
        EXPECT_STREQ(set_payload_option("delimiter", bad, &options),
                     "is not one ASCII character that may stand between fields") << bad;
    }
    EXPECT_EQ(options.format, PayloadFormat::automatic) << "nothing was changed";
}
TEST(PayloadOptions, ContentTypesNameFormats) {
    PayloadOptions options;
    set_content_type("text/csv; charset=utf-8", &options);
    EXPECT_EQ(options.format, PayloadFormat::csv);
    set_content_type("application/octet-stream", &options);
    EXPECT_EQ(options.format, PayloadFormat::csv) << "says nothing";
    set_content_type("Application/JSON", &options);
    EXPECT_EQ(options.format, PayloadFormat::json);
}

}  // namespace
}  // namespace historian::bgworker
