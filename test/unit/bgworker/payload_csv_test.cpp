#include "bgworker/parsed_payload.h"

#include <gtest/gtest.h>

namespace historian::bgworker {
namespace {

ParseContext csv(CsvHeader header = CsvHeader::none, char delimiter = ',') {
    ParseContext context = in_format(PayloadFormat::csv);
    context.options.header = header;
    context.options.delimiter = delimiter;
    return context;
}

TEST(Csv, Records) {
    EXPECT_EQ(parsed("a,1,2.5\nb,2,\n", csv()), "ra,r1,r2.5;rb,r2,0");
    EXPECT_EQ(parsed("a,1\r\nb,2", csv()), "ra,r1;rb,r2");
    EXPECT_EQ(parsed("a\rb", csv()), "ra;rb");
    EXPECT_EQ(parsed("\n\na\n\r\n\nb\n\n", csv()), "ra;rb") << "empty lines are no records";
    EXPECT_EQ(parsed("a,b,", csv()), "ra,rb,0") << "a field after the last delimiter";
    EXPECT_EQ(parsed(",", csv()), "0,0");
    EXPECT_EQ(parsed("\xef\xbb\xbf" "a,b", csv()), "ra,rb") << "after a byte order mark";
    EXPECT_EQ(parsed("a\n\xef\xbb\xbf" "b", csv()), "ra;rb") << "files one after the other";
}
TEST(Csv, QuotedFields) {
    EXPECT_EQ(parsed("\"a,\"\"b\"\"\nc\",1\n\"\",2", csv()), "ra,\"b\"\nc,r1;r,r2");
    EXPECT_EQ(parsed("a\"b,c \"d\"", csv()), "ra\"b,rc \"d\"") << "quotes inside are the field's own";
    EXPECT_EQ(parsed("\"a\"\r\n\"b\"", csv()), "ra;rb");
}
TEST(Csv, OtherDelimiters) {
    EXPECT_EQ(parsed("a;1,5\n\"b;\";2", csv(CsvHeader::none, ';')), "ra,r1,5;rb;,r2");
    EXPECT_EQ(parsed("a\tb c", csv(CsvHeader::none, '\t')), "ra,rb c");
}
TEST(Csv, Headers) {
    EXPECT_EQ(parsed("name,value\na,1\n", csv(CsvHeader::skip)), "ra,r1");
    EXPECT_EQ(parsed("name , the value\na,1\nb,2\n", csv(CsvHeader::columns)), "name=ra,the value=r1;name=rb,the value=r2");
    EXPECT_EQ(parsed("name,value\na\nb,1,2\n", csv(CsvHeader::columns)), "name=ra;name=rb,value=r1,r2");
    EXPECT_EQ(parsed("name,value\n", csv(CsvHeader::columns)), "payload holds no value");
}
TEST(Csv, ABadRecordSpoilsNoOther) {
    EXPECT_EQ(parsed("a,1\n\"b\"x,2\nc,3", csv()), "ra,r1;[payload is not valid CSV at offset 7];rc,r3");
    EXPECT_EQ(parsed("a,1\n\"b,2\nc,3", csv()), "ra,r1;[payload is not valid CSV at offset 4]") << "it runs to the end";
    EXPECT_EQ(parsed("a\nb\xff\nc", csv()), "ra;[payload is not valid UTF-8 at offset 3];rc");
    EXPECT_EQ(parsed(std::string_view("a\nb\0\nc", 6), csv()), "ra;[payload has a NUL character in a string at offset 3];rc");
}
TEST(Csv, RejectsABadHeader) {
    EXPECT_EQ(parsed("\"a\na,1\n", csv(CsvHeader::columns)), "payload is not valid CSV at offset 0");
    EXPECT_EQ(parsed(std::string(2000, ',') + "\na", csv(CsvHeader::columns)), "payload names more than 1600 columns");
}
TEST(Csv, LimitsCells) {
    EXPECT_EQ(parsed(std::string(kCellCountMax, ','), csv()), "payload has more than 4194304 values");
}
TEST(Csv, RowsStandForThemselves) {
    EXPECT_EQ(rows_again("a,1\n\"b\nc\",2\n", csv()), "a,1\n|\"b\nc\",2\n");
    EXPECT_EQ(rows_again("n,v\na,1\nb\n", csv(CsvHeader::columns)), "n,v\na,1\n|n,v\nb\n");
    EXPECT_EQ(rows_again("n,v\na,1\nb,2", csv(CsvHeader::skip)), "n,v\na,1\n|n,v\nb,2");
}
TEST(Csv, EveryPrefixIsRead) {
    const std::string text = "name,value\r\n\"a \"\"x\"\"\",1\nb,\"2\n3\"\r\n";
    for (std::size_t bytes = 1; bytes < text.size(); ++bytes) {
        (void)parsed(std::string_view(text).substr(0, bytes), csv());
        (void)parsed(std::string_view(text).substr(0, bytes), csv(CsvHeader::columns));
    }
}

}  // namespace
}  // namespace historian::bgworker
