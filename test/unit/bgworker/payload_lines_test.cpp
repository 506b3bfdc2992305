#include "bgworker/parsed_payload.h"

#include <gtest/gtest.h>

namespace historian::bgworker {
namespace {

constexpr std::string_view kPointColumns[] = {"Name", "time", "value", "host"};
constexpr TableShape kPoints{kPointColumns, 4, 0, 1, 2};
constexpr std::string_view kCpuColumns[] = {"host", "ts", "user", "system", "measurement"};
constexpr TableShape kCpu{kCpuColumns, 5, 0, 1, 2};

std::string points(std::string_view bytes) {
    ParseContext context = in_format(PayloadFormat::line_protocol);
    context.shape = &kPoints;
    return parsed(bytes, context);
}
std::string cpu(std::string_view bytes) {
    ParseContext context = in_format(PayloadFormat::line_protocol);
    context.shape = &kCpu;
    return parsed(bytes, context);
}

TEST(LineProtocol, OnePointAField) {
    EXPECT_EQ(points("cpu user=1,system=2.5e1 17"), "Name=scpu.user,time=n17,value=n1;Name=scpu.system,time=n17,value=n2.5e1");
    EXPECT_EQ(points("m v=-3i 17\nm v=4u 18\n"), "Name=sm.v,time=n17,value=n-3;Name=sm.v,time=n18,value=n4");
}
TEST(LineProtocol, WithoutATimeItIsThatOfArrival) { EXPECT_EQ(points("m v=1"), "Name=sm.v,time=@,value=n1"); }
TEST(LineProtocol, FieldsThatAreNoNumbersAreDropped) {
    EXPECT_EQ(points("m a=\"x\",v=1,b=t 17"), "Name=sm.v,time=n17,value=n1");
    EXPECT_EQ(points("m a=\"x\" 17"), "") << "no row, and no fault";
}
TEST(LineProtocol, TagsGoToTheirColumns) {
    EXPECT_EQ(points("m,host=a,rack=7,name=z v=1 17"), "Name=sm.v,time=n17,value=n1,host=ra");
    EXPECT_EQ(points("m,host=a v=1 17\nm v=2 18"), "Name=sm.v,time=n17,value=n1,host=ra;Name=sm.v,time=n18,value=n2,host=-");
}
TEST(LineProtocol, OneRowALineForOtherTables) {
    EXPECT_EQ(cpu("cpu,host=a user=1,system=2i 17"), "measurement=scpu,host=ra,user=n1,system=n2,ts=n17");
    EXPECT_EQ(cpu("cpu,host=a user=\"x\",on=FALSE"), "measurement=scpu,host=ra,user=sx,on=bfalse,ts=@");
}
TEST(LineProtocol, Escapes) {
    EXPECT_EQ(points("a\\,b\\ c,host=x\\=\\,\\ y v\\=w=1 17"), "Name=sa,b c.v=w,time=n17,value=n1,host=rx=, y");
    EXPECT_EQ(points("a\\b v=1 17"), "Name=sa\\b.v,time=n17,value=n1") << "a backslash before anything else is itself";
    EXPECT_EQ(cpu("m user=\"a\\\"b\\\\c, d=\ne\" 17"), "measurement=sm,user=sa\"b\\c, d=\ne,ts=n17");
}
TEST(LineProtocol, CommentsAndSpace) {
    EXPECT_EQ(points("# m v=1\n\n  m  v=1   17  \r\n"), "Name=sm.v,time=n17,value=n1");
    EXPECT_EQ(points("# nothing\n"), "payload holds no value");
}
TEST(LineProtocol, ABadLineSpoilsNoOther) {
    for (const char *bad : {"m", "m,", "m,a v=1", "m,a= v=1", "m v", "m v=", "m v=x", "m v=1,", "m v=1 x", "m v=1 2 3",
                            "m v=1.5i", "m v=1x", ",a=b v=1", "m v=\"x", "m v=\"x\"y", "m v=nan", "m =1", "m,=a v=1"}) {
        const std::string all = points(std::string("a v=1 1\n") + bad + "\nb v=2 2");
        EXPECT_EQ(all.substr(0, 69), "Name=sa.v,time=n1,value=n1;[payload is not valid line protocol at off") << bad;
        EXPECT_EQ(all.substr(all.find(']')), "];Name=sb.v,time=n2,value=n2") << bad;
    }
    EXPECT_EQ(points("a v=1 1\n\xff v=1 1"), "Name=sa.v,time=n1,value=n1;[payload is not valid UTF-8 at offset 8]");
}
TEST(LineProtocol, NeedsAColumnForTimes) {
    EXPECT_EQ(parsed("m v=1", in_format(PayloadFormat::line_protocol)),
              "payload is line protocol, and the table has no column for times");
}
TEST(LineProtocol, LimitsWhatItComposes) {
    std::string line = std::string(1'000'000, 'm') + " a0=1";
    for (int i = 1; i < 100; ++i) line += ",a" + std::to_string(i) + "=1";
    EXPECT_EQ(points(line), "payload makes names that are together too long");
}
TEST(LineProtocol, RowsStandForThemselves) {
    ParseContext context = in_format(PayloadFormat::line_protocol);
    context.shape = &kPoints;
    EXPECT_EQ(rows_again("m,host=a v=1,w=2 17\nx y\n", context), "m,host=a v=1 17|m,host=a w=2 17|x y");
    context.shape = &kCpu;
    EXPECT_EQ(rows_again("m v=1,w=2 17\nn v=1", context), "m v=1,w=2 17|n v=1");
}

TEST(Number, NamedByItsTopic) {
    ParseContext context;
    context.topic = "plant/7/temp";
    context.shape = &kPoints;
    EXPECT_EQ(parsed("3.25", context), "Name=splant/7/temp,time=@,value=r3.25");
    EXPECT_EQ(parsed(" -1e5\n", context), "Name=splant/7/temp,time=@,value=r-1e5");
    EXPECT_EQ(parsed("[1]", context), "n1") << "found only where it is nothing else";
    EXPECT_EQ(parsed("nan", context), "payload is not valid JSON at offset 1");
    EXPECT_EQ(parsed("\xef", context).substr(0, 10), "payload is");
}
TEST(Number, TakesWhatPrintfWritesWhenItIsNamed) {
    ParseContext context = in_format(PayloadFormat::number);
    context.topic = "t";
    context.shape = &kPoints;
    for (const char *good : {"1", "+1", "007", ".5", "-1.5e+3", "nan", "-inf", "Infinity"}) {
        EXPECT_EQ(parsed(good, context), std::string("Name=st,time=@,value=r") + good);
    }
    for (const char *bad : {"x", "1x", "1 2", ".", "-", "1.", "0x1", "1e", "--1", "[1]"})
        EXPECT_EQ(parsed(bad, context), "payload is not a number") << bad;
    EXPECT_EQ(parsed("  ", context), "payload holds no value");
}
TEST(Number, NeedsANameAndAPlace) {
    ParseContext context;
    context.shape = &kPoints;
    EXPECT_EQ(parsed("1", context), "payload is a plain number, which only a subscription with a target can store");
    context.topic = "t";
    context.shape = nullptr;
    EXPECT_EQ(parsed("1", context), "payload is a plain number, and the table has no column for numbers");
    constexpr std::string_view kAlone[] = {"v"};
    const TableShape alone{kAlone, 1, kNoColumn, kNoColumn, 0};
    context.shape = &alone;
    EXPECT_EQ(parsed("1", context), "v=r1");
}

TEST(TableShape, FindsColumnsByName) {
    constexpr std::string_view kColumns[] = {"a", "B", "b", "C", "Cc"};
    const TableShape shape{kColumns, 5, 0, 0, 0};
    EXPECT_EQ(find_column(shape, "b"), 2) << "exactly";
    EXPECT_EQ(find_column(shape, "B"), 1);
    EXPECT_EQ(find_column(shape, "A"), 0);
    EXPECT_EQ(find_column(shape, "cC"), 4);
    EXPECT_EQ(find_column(shape, "d"), kNoColumn);
    constexpr std::string_view kTwins[] = {"Ab", "aB"};
    EXPECT_EQ(find_column({kTwins, 2, 0, 0, 0}, "ab"), kAmbiguousColumn);
}

}  // namespace
}  // namespace historian::bgworker
