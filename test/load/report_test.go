package load

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMarkReports(t *testing.T) {
	broken := errors.New("connection refused")
	requests := []record{
		{verb: Create, call: 1 * time.Second, end: 1 * time.Second, err: broken},
		{verb: Update, call: 11 * time.Second, end: 12 * time.Second, err: broken},
		{verb: Update, call: 12 * time.Second, end: 13 * time.Second},
		{verb: Delete, call: 14 * time.Second, end: 15 * time.Second, err: broken},
		{verb: Get, call: 16 * time.Second, end: 17 * time.Second, err: broken},
		{verb: Create, call: 21 * time.Second, end: 22 * time.Second, err: broken},
	}
	marks := []moment{{name: "fail a", at: 10 * time.Second}, {name: "restore a", at: 20 * time.Second}}
	want := []MarkReport{
		{Name: "fail a", AtSeconds: 10, Failed: 3, WritesBackSeconds: 4},
		{Name: "restore a", AtSeconds: 20, Failed: 1, WritesBackSeconds: 1},
	}
	if diff := cmp.Diff(want, markReports(marks, requests)); diff != "" {
		t.Errorf("writes are back after the last one that failed; reads and failures before the mark do not count (-want +got):\n%s", diff)
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
