package load

import (
	"fmt"
	"slices"
)

// Event that a watch delivered.
type Event struct {
	Type     string
	Key      string
	Value    string
	Revision int64
}

// Segment is an unbroken stretch of a watch: it promises every event with a revision above From, up
// to and including Until. A watch that was told 410 Gone starts a new segment.
type Segment struct {
	From, Until int64
	Events      []Event
}

// CheckWatches compares what watches delivered, one list of segments per watch, with the writes that
// were acknowledged and with each other. Each string it returns is one broken promise.
func CheckWatches(operations []Operation, watches [][]Segment) []string {
	acknowledged, deletions := acknowledgements(operations)
	delivered := map[int64]string{}
	for _, segments := range watches {
		for _, segment := range segments {
			for _, event := range segment.Events {
				delivered[event.Revision] = event.Type + " " + event.Key
			}
		}
	}
	var broken []string
	for i, segments := range watches {
		seen, deleted, disorder := read(segments)
		for _, what := range disorder {
			broken = append(broken, fmt.Sprintf("watch %d: %s", i, what))
		}
		from, until := segments[0].From, segments[len(segments)-1].Until
		for revision, what := range acknowledged {
			if revision > from && !seen[revision] {
				broken = append(broken, fmt.Sprintf("watch %d: missed the acknowledged %s at revision %d; it ended at %d", i, what, revision, until))
			}
		}
		for revision, what := range delivered {
			if revision > from && revision <= until && !seen[revision] && acknowledged[revision] == "" {
				broken = append(broken, fmt.Sprintf("watch %d: missed %s at revision %d, which another watch saw", i, what, revision))
			}
		}
		for key, count := range deletions {
			if deleted[key] < count {
				broken = append(broken, fmt.Sprintf("watch %d: saw %d of %d acknowledged deletions of %s", i, deleted[key], count, key))
			}
		}
	}
	slices.Sort(broken)
	return broken
}

// read returns the revisions that a watch delivered, the number of deletions by key, and what was
// delivered twice or out of order.
func read(segments []Segment) (seen map[int64]bool, deleted map[string]int, disorder []string) {
	seen, deleted = map[int64]bool{}, map[string]int{}
	for _, segment := range segments {
		last := segment.From
		for _, event := range segment.Events {
			if event.Revision <= last {
				disorder = append(disorder, fmt.Sprintf("event of revision %d came after %d", event.Revision, last))
			}
			last = event.Revision
			seen[event.Revision] = true
			if event.Type == "DELETED" {
				deleted[event.Key]++
			}
		}
	}
	return seen, deleted, disorder
}

// acknowledgements are the acknowledged writes by revision, and the number of acknowledged deletions
// by key: the API server does not tell the revision of a deletion.
func acknowledgements(operations []Operation) (byRevision map[int64]string, deletions map[string]int) {
	byRevision, deletions = map[int64]string{}, map[string]int{}
	for _, op := range operations {
		switch {
		case op.Result != Done || !op.Verb.Write():
		case op.Verb == Delete:
			deletions[op.Key]++
		default:
			byRevision[op.Revision] = fmt.Sprintf("%s of %s to %s", op.Verb, op.Key, op.Value)
		}
	}
	return byRevision, deletions
}
