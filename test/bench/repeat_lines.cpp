// repeat_lines: the lines of standard input, again and again, as the records that part logs of test/bench/run loads: COPY text on
// standard output. The same arguments and lines give the same bytes anywhere.
//
//     repeat_lines ROWS SECONDS <LINES       ROWS records over about so many seconds from 2026-01-01 on
//
// Columns: time, message. A hundred records arrive together and have one time, as from a program that sends logs in batches. The
// first repetition has the lines as they are. In the others numbers of four to eighteen digits, years aside, and times of day
// (12:34:56) are shifted by an amount of each repetition: what is equal and how much lines differ stays, but no repetition is
// found whole in the one before. All other text is repeated. One record in 100,003 ends in the word xyzzy42fault.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "points.h"

namespace {

constexpr std::uint64_t kSeed = 5;
constexpr long kBatchRecords = 100;
constexpr std::size_t kShiftedDigitsMin = 4;  // shorter ones are mostly codes, versions and parts of addresses
constexpr std::size_t kShiftedDigitsMax = 18;
constexpr std::uint64_t kTimeOfDayStep = 40009;  // seconds; prime

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::uint64_t value_of(std::string_view digits) {
    std::uint64_t value = 0;
    for (const char c : digits) value = value * 10 + static_cast<std::uint64_t>(c - '0');
    return value;
}

void put_value(std::string &line, std::size_t at, std::size_t digits, std::uint64_t value) {
    for (std::size_t i = digits; i-- > 0; value /= 10) line[at + i] = static_cast<char>('0' + value % 10);
}

// Whether 12:34:56 begins here.
bool is_time_of_day(std::string_view text) {
    if (text.size() < 8 || text[2] != ':' || text[5] != ':' || (text.size() > 8 && is_digit(text[8]))) return false;
    for (const std::size_t i : {0, 1, 3, 4, 6, 7}) {
        if (!is_digit(text[i])) return false;
    }
    return value_of(text.substr(0, 2)) < 24 && value_of(text.substr(3, 2)) < 60 && value_of(text.substr(6, 2)) < 60;
}

void shift_time_of_day(std::string &line, std::size_t at, std::uint64_t repetition) {
    const std::string_view text = std::string_view(line).substr(at, 8);
    const std::uint64_t hour = value_of(text.substr(0, 2));
    const std::uint64_t second = (hour * 60 + value_of(text.substr(3, 2))) * 60 + value_of(text.substr(6, 2));
    const std::uint64_t shifted = (second + repetition * kTimeOfDayStep) % 86400;
    put_value(line, at, 2, shifted / 3600);
    put_value(line, at + 3, 2, shifted / 60 % 60);
    put_value(line, at + 6, 2, shifted % 60);
}

bool is_year(std::string_view digits) { return digits.size() == 4 && digits >= "1970" && digits <= "2069"; }

// The number keeps its digits' count: it stays among those that begin with another digit than 0, if it was.
void shift_number(std::string &line, std::size_t at, std::size_t digits, std::uint64_t repetition) {
    std::uint64_t end = 1;
    for (std::size_t i = 0; i < digits; ++i) end *= 10;
    const std::uint64_t begin = line[at] == '0' ? 0 : end / 10;
    const std::uint64_t range = end - begin;
    const std::uint64_t step = static_cast<std::uint64_t>(static_cast<double>(range) * 0.6180339887);
    const auto moved = static_cast<std::uint64_t>(static_cast<unsigned __int128>(step) * repetition % range);
    put_value(line, at, digits, begin + (value_of(std::string_view(line).substr(at, digits)) - begin + moved) % range);
}

void shift(std::string &line, std::uint64_t repetition) {
    for (std::size_t at = 0; at < line.size();) {
        std::size_t digits = 0;
        while (at + digits < line.size() && is_digit(line[at + digits])) ++digits;
        if (digits == 2 && is_time_of_day(std::string_view(line).substr(at))) {
            shift_time_of_day(line, at, repetition);
            digits = 8;
        } else if (digits >= kShiftedDigitsMin && digits <= kShiftedDigitsMax &&
                   !is_year(std::string_view(line).substr(at, digits))) {
            shift_number(line, at, digits, repetition);
        }
        at += digits > 0 ? digits : 1;
    }
}

void print_escaped(std::string_view line) {
    for (const char c : line) {
        switch (c) {
            case '\\': std::fputs("\\\\", stdout); break;
            case '\t': std::fputs("\\t", stdout); break;
            case '\r': std::fputs("\\r", stdout); break;
            default: std::putchar(c);
        }
    }
}

}  // namespace

int main(int argument_count, char **arguments) {
    if (argument_count < 3) {
        std::fprintf(stderr, "usage: repeat_lines ROWS SECONDS <LINES\n");
        return 2;
    }
    const long rows = std::atol(arguments[1]);
    const double mean_gap = std::atof(arguments[2]) / static_cast<double>(rows) * kBatchRecords;
    std::ios::sync_with_stdio(false);
    std::vector<std::string> lines;
    for (std::string line; std::getline(std::cin, line);) lines.push_back(line);
    if (lines.empty()) return 1;

    bench::Random random_bits(kSeed);
    double second = 0;
    char time[48] = "";
    for (long number = 0; number < rows; ++number) {
        if (number % kBatchRecords == 0) {
            second += -std::log(1 - random_bits.uniform()) * mean_gap;
            const std::time_t whole = 1767225600 + static_cast<std::time_t>(second);
            std::tm parts;
            gmtime_r(&whole, &parts);
            const std::size_t length = std::strftime(time, sizeof time, "%Y-%m-%d %H:%M:%S", &parts);
            std::snprintf(time + length, sizeof time - length, ".%06d+00", static_cast<int>((second - std::floor(second)) * 1e6));
        }
        const auto at = static_cast<std::size_t>(number);
        std::string line = lines[at % lines.size()];
        if (at >= lines.size()) shift(line, at / lines.size());
        std::printf("%s\t", time);
        print_escaped(line);
        std::fputs(number % 100003 == 777 ? " xyzzy42fault\n" : "\n", stdout);
    }
    return std::fflush(stdout) == 0 ? 0 : 1;
}
