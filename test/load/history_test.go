package load

import (
	"testing"
	"time"
)

func TestCheckHistories(t *testing.T) {
	create := func(value string, result Result, call, end time.Duration) Operation {
		return Operation{Process: 1, Verb: Create, Key: "k", Value: value, Result: result, Call: call, Return: end}
	}
	update := func(base, value string, result Result, call, end time.Duration) Operation {
		return Operation{Process: 1, Verb: Update, Key: "k", Base: base, Value: value, Result: result, Call: call, Return: end}
	}
	get := func(value string, result Result, call, end time.Duration) Operation {
		return Operation{Process: 2, Verb: Get, Key: "k", Value: value, Result: result, Call: call, Return: end}
	}
	remove := func(result Result, call, end time.Duration) Operation {
		return Operation{Process: 1, Verb: Delete, Key: "k", Result: result, Call: call, Return: end}
	}

	cases := map[string]struct {
		reason  string
		history []Operation
		want    bool
	}{
		"Sequential": {
			reason:  "every operation sees the one before",
			history: []Operation{create("a", Done, 1, 2), update("a", "b", Done, 3, 4), get("b", Done, 5, 6), remove(Done, 7, 8), get("", Refused, 9, 10)},
			want:    true,
		},
		"LostCreate": {
			reason:  "a create was acknowledged, and then the object is not there",
			history: []Operation{create("a", Done, 1, 2), get("", Refused, 3, 4)},
		},
		"LostUpdate": {
			reason:  "an update was acknowledged, and another one succeeds on the value before it",
			history: []Operation{create("a", Done, 1, 2), update("a", "b", Done, 3, 4), update("a", "c", Done, 5, 6)},
		},
		"StaleRead": {
			reason:  "a read that began after the update ended sees the value before it",
			history: []Operation{create("a", Done, 1, 2), update("a", "b", Done, 3, 4), get("a", Done, 5, 6)},
		},
		"ConcurrentReadOfTheOldValue": {
			reason:  "a read that overlaps the update may see the value before it",
			history: []Operation{create("a", Done, 1, 2), update("a", "b", Done, 3, 6), get("a", Done, 4, 5)},
			want:    true,
		},
		"ReadsGoBack": {
			reason:  "once a read has seen the new value no later one may see the old",
			history: []Operation{create("a", Done, 1, 2), update("a", "b", Done, 3, 10), get("b", Done, 4, 5), get("a", Done, 6, 7)},
		},
		"UnknownWriteHappened": {
			reason:  "a write that timed out may have been carried out",
			history: []Operation{create("a", Done, 1, 2), update("a", "b", Unknown, 3, 4), get("b", Done, 5, 6)},
			want:    true,
		},
		"UnknownWriteDidNotHappen": {
			reason:  "a write that timed out may be lost: nobody was told that it was carried out",
			history: []Operation{create("a", Done, 1, 2), update("a", "b", Unknown, 3, 4), get("a", Done, 5, 6), update("a", "c", Done, 7, 8)},
			want:    true,
		},
		"UnknownWriteHappenedLate": {
			reason:  "a write that timed out may take effect after later reads",
			history: []Operation{create("a", Done, 1, 2), remove(Unknown, 3, 4), get("a", Done, 5, 6), get("", Refused, 7, 8)},
			want:    true,
		},
		"UnknownWriteUndone": {
			reason:  "a write that was seen once stays until something else is written",
			history: []Operation{create("a", Done, 1, 2), update("a", "b", Unknown, 3, 4), get("b", Done, 5, 6), get("a", Done, 7, 8)},
		},
		"ConflictForNoReason": {
			reason:  "an update is refused although nothing was written since its base",
			history: []Operation{create("a", Done, 1, 2), update("a", "b", Refused, 3, 4)},
		},
		"BackFromTheDead": {
			reason:  "an acknowledged deletion is forgotten",
			history: []Operation{create("a", Done, 1, 2), remove(Done, 3, 4), get("a", Done, 5, 6)},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			verdict := CheckHistories(tc.history, time.Minute)
			if got := verdict.Err() == nil; got != tc.want {
				t.Errorf("%s: linearizable is %t, want %t: %v", tc.reason, got, tc.want, verdict.Err())
			}
		})
	}
}

func TestCheckHistoriesByKey(t *testing.T) {
	verdict := CheckHistories([]Operation{
		{Verb: Create, Key: "good", Value: "1", Result: Done, Call: 1, Return: 2},
		{Verb: Create, Key: "bad", Value: "2", Result: Done, Call: 1, Return: 2},
		{Verb: Get, Key: "bad", Result: Refused, Call: 3, Return: 4},
	}, time.Minute)
	if verdict.Keys != 2 || verdict.Operations != 3 || len(verdict.Violations) != 1 || len(verdict.Violations["bad"]) != 2 {
		t.Errorf("want the two operations of key bad as the one violation of 2 keys and 3 operations, got %+v", verdict)
	}
}
