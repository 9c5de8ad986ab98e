package load

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMarkReports(t *testing.T) {
	at := func(verb Verb, call, end int) record {
		return record{verb: verb, call: time.Duration(call) * time.Second, end: time.Duration(end) * time.Second, err: errors.New("connection refused")}
	}
	fine := record{verb: Update, call: 18 * time.Second, end: 23 * time.Second}
	cases := map[string]struct {
		reason   string
		requests []record
		want     [2]MarkReport // failures and writes back, of "fail a" at 10 s and "restore a" at 20 s
	}{
		"Before":   {"what failed before any mark is nobody's", []record{at(Create, 1, 1)}, [2]MarkReport{}},
		"Last":     {"writes are back after the last one that failed", []record{at(Update, 11, 12), fine, at(Delete, 14, 15)}, [2]MarkReport{{Failed: 2, WritesBackSeconds: 4}}},
		"Read":     {"a read fails, but keeps no writes back", []record{at(Get, 16, 17)}, [2]MarkReport{{Failed: 1}}},
		"Next":     {"after the next mark it is the next fault's", []record{at(Create, 21, 22)}, [2]MarkReport{{}, {Failed: 1, WritesBackSeconds: 1}}},
		"First":    {"the first fault cut it", []record{at(Create, 9, 11)}, [2]MarkReport{{Failed: 1}}},
		"UnderWay": {"it was under way when the next fault was made, which cut it", []record{at(Create, 19, 21)}, [2]MarkReport{{}, {Failed: 1}}},
		"LongAgo":  {"it began long after the fault, and failed before the next one", []record{at(Create, 18, 19)}, [2]MarkReport{{Failed: 1, WritesBackSeconds: 8}}},
		"TimedOut": {"a write that hung counts from its start", []record{at(Create, 11, 13)}, [2]MarkReport{{Failed: 1, WritesBackSeconds: 1}}},
	}
	marks := []moment{{name: "fail a", at: 10 * time.Second}, {name: "restore a", at: 20 * time.Second}}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for i, mark := range marks {
				tc.want[i].Name, tc.want[i].AtSeconds = mark.name, mark.at.Seconds()
			}
			if diff := cmp.Diff(tc.want[:], markReports(marks, tc.requests)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestLongestWriteGap(t *testing.T) {
	cases := map[string]struct {
		reason   string
		requests []record
		want     time.Duration
	}{
		"Between":    {"two writes that succeeded", []record{{verb: Create, end: 2}, {verb: Get, end: 4}, {verb: Update, end: 3, err: errors.New("no")}, {verb: Delete, end: 8}}, 6},
		"AtTheStart": {"nothing was written for long", []record{{verb: Create, end: 8}, {verb: Create, end: 9}}, 8},
		"AtTheEnd":   {"nothing was written any more", []record{{verb: Create, end: 2}}, 8},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := longestWriteGap(tc.requests, 10); got != tc.want {
				t.Errorf("%s: gap %d, want %d", tc.reason, got, tc.want)
			}
		})
	}
}

func TestReportErrors(t *testing.T) {
	cases := map[string]struct {
		reason               string
		report               Report
		consistent, flawless bool
	}{
		"Good":      {"nothing failed", Report{}, true, true},
		"Failure":   {"a failed request is no inconsistency", Report{Failed: 1, Failures: []Failure{{Verb: Get}}}, true, false},
		"Violation": {"a history without explanation", Report{Histories: Verdict{Violations: map[string][]string{"k": nil}}}, false, false},
		"Undecided": {"what could not be checked is not proven", Report{Histories: Verdict{Undecided: []string{"k"}}}, false, false},
		"Watch":     {"a missed event", Report{BrokenWatches: []string{"missed"}}, false, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := tc.report.Consistent(); (err == nil) != tc.consistent {
				t.Errorf("%s: Consistent() = %v", tc.reason, err)
			}
			if err := tc.report.Flawless(); (err == nil) != tc.flawless {
				t.Errorf("%s: Flawless() = %v", tc.reason, err)
			}
		})
	}
}
