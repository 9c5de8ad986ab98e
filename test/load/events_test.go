package load

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckWatches(t *testing.T) {
	operations := []Operation{
		{Verb: Create, Key: "k", Value: "a", Result: Done, Revision: 11},
		{Verb: Update, Key: "k", Base: "a", Value: "b", Result: Done, Revision: 12},
		{Verb: Update, Key: "k", Base: "b", Value: "c", Result: Unknown},
		{Verb: Get, Key: "k", Value: "b", Result: Done},
		{Verb: Delete, Key: "k", Result: Done},
	}
	added := Event{Type: "ADDED", Key: "k", Value: "a", Revision: 11}
	modified := Event{Type: "MODIFIED", Key: "k", Value: "b", Revision: 12}
	late := Event{Type: "MODIFIED", Key: "k", Value: "c", Revision: 13}
	deleted := Event{Type: "DELETED", Key: "k", Value: "c", Revision: 14}
	whole := []Segment{{From: 10, Until: 14, Events: []Event{added, modified, late, deleted}}}

	cases := map[string]struct {
		reason  string
		watches [][]Segment
		want    []string
	}{
		"All": {
			reason:  "every event came once and in order",
			watches: [][]Segment{whole, whole},
		},
		"MissedWrite": {
			reason:  "an acknowledged write never came",
			watches: [][]Segment{{{From: 10, Until: 14, Events: []Event{added, late, deleted}}}},
			want:    []string{"watch 0: missed the acknowledged update of k to b at revision 12; it ended at 14"},
		},
		"MissedByOne": {
			reason:  "a write of unknown outcome was seen by one watch and not by the other",
			watches: [][]Segment{whole, {{From: 10, Until: 14, Events: []Event{added, modified, deleted}}}},
			want:    []string{"watch 1: missed MODIFIED k at revision 13, which another watch saw"},
		},
		"NotThereYet": {
			reason:  "what came after the end of a watch is no miss when nobody was promised it",
			watches: [][]Segment{{{From: 10, Until: 14, Events: []Event{added, modified, late, deleted, {Type: "ADDED", Key: "k", Revision: 15}}}}, whole},
		},
		"MissedDeletion": {
			reason:  "an acknowledged deletion never came",
			watches: [][]Segment{{{From: 10, Until: 13, Events: []Event{added, modified, late}}}},
			want:    []string{"watch 0: saw 0 of 1 acknowledged deletions of k"},
		},
		"Twice": {
			reason:  "a watch that resumed delivered an event again",
			watches: [][]Segment{{{From: 10, Until: 14, Events: []Event{added, modified, modified, late, deleted}}}},
			want:    []string{"watch 0: event of revision 12 came after 12"},
		},
		"Gap": {
			reason:  "after 410 Gone the watch began anew and what lay between is lost",
			watches: [][]Segment{{{From: 10, Until: 11, Events: []Event{added}}, {From: 13, Until: 14, Events: []Event{deleted}}}},
			want:    []string{"watch 0: missed the acknowledged update of k to b at revision 12; it ended at 14"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, CheckWatches(operations, tc.watches)); diff != "" {
				t.Errorf("%s: broken promises (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
