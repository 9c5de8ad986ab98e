package page_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/internal/load/page"
)

// taken is a sample as a test compares it.
type taken struct {
	Family string
	Labels map[string]string
	Value  float64
	Millis int64
}

func scan(text string, families ...string) ([]taken, error) {
	var all []taken
	err := page.Scan(strings.NewReader(text), families, func(s *page.Sample) error {
		labels := map[string]string{}
		for _, label := range s.Labels {
			labels[string(label.Name)] = string(label.Value)
		}
		all = append(all, taken{s.Family, labels, s.Value, s.Millis})
		return nil
	})
	return all, err
}

func TestScan(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	for _, c := range []struct {
		reason, text string
		want         []taken
		fails        string
	}{
		{
			reason: "comments, empty lines and other families are skipped", text: "# HELP a b\n# TYPE a gauge\n\na 1\nother 2\nab 3\na_total 4\n",
			want: []taken{{"a", map[string]string{}, 1, 0}},
		},
		{
			reason: "labels may hold braces, quotes, backslashes and newlines", text: `a{x="}",y="say \"hi\"",z="\\n\n"} 2`,
			want: []taken{{"a", map[string]string{"x": "}", "y": `say "hi"`, "z": "\\n\n"}, 2, 0}},
		},
		{
			reason: "a time after the value, spaces and a trailing comma are allowed", text: "a{ x=\"1\", } 3.5e1 1700000000\na\t4\n",
			want: []taken{{"a", map[string]string{"x": "1"}, 35, 1700000000}, {"a", map[string]string{}, 4, 0}},
		},
		{reason: "a page may end without a newline", text: "a 1", want: []taken{{"a", map[string]string{}, 1, 0}}},
		{
			reason: "values beyond float64 are infinite, and for the caller to judge", text: "a 1e999\na +Inf\n",
			want: []taken{{"a", map[string]string{}, math.Inf(1), 0}, {"a", map[string]string{}, math.Inf(1), 0}},
		},
		{reason: "a long line of a family that nobody asked for is skipped", text: `b{x="` + long + "\"} 1\na 2\n", want: []taken{{"a", map[string]string{}, 2, 0}}},
		{reason: "a long line of a family that matters is no page of ours", text: `a{x="` + long + "\"} 1\n", fails: "longer than"},
		{reason: "a value that is no number", text: "a one\n", fails: "its value is no number"},
		{reason: "a time that is no number", text: "a 1 now\n", fails: "its time is no number"},
		{reason: "a line that was cut off", text: `a{x="1"`, fails: "do not end"},
		{reason: "a label that was cut off", text: `a{x="1`, fails: "no closing quote"},
		{reason: "a value that was cut off", text: `a{x="1"}`, fails: "its value is no number"},
		{reason: "more labels than any family has", text: "a{" + strings.Repeat(`x="",`, 40) + "} 1", fails: "more than 32 labels"},
	} {
		got, err := scan(c.text, "a")
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: got error %v, want %q", c.reason, err, c.fails)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.reason, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
}

// TestScanStops: what comes after the last family that matters is not fetched.
func TestScanStops(t *testing.T) {
	text := "# HELP a of x\na 1\n# HELP a_b of another\na_b 2\n# HELP b of y\nb 3\n"
	for reason, c := range map[string]struct {
		families []string
		fails    bool
	}{
		"a family that goes on may come yet": {[]string{"a", "b"}, true},
		"all have been there":                {[]string{"a"}, false},
		"in any order":                       {[]string{"a_b", "a"}, false},
	} {
		after := iotest.ErrReader(errors.New("fetched more"))
		err := page.Scan(&chain{strings.NewReader(text), after}, c.families, func(*page.Sample) error { return nil })
		if (err != nil) != c.fails {
			t.Errorf("%s: got %v", reason, err)
		}
	}
}

// TestScanErrors: a page that breaks off is not to be relied on, and the caller's word counts.
func TestScanErrors(t *testing.T) {
	broken := errors.New("connection reset")
	for reason, text := range map[string]string{
		"between two lines": "b 1\n", "within a line that matters": "a 1", "within a long line": strings.Repeat("b", 70<<10),
	} {
		from := iotest.ErrReader(broken)
		err := page.Scan(&chain{strings.NewReader(text), from}, []string{"a"}, func(*page.Sample) error { return nil })
		if !errors.Is(err, broken) {
			t.Errorf("%s: got %v", reason, err)
		}
	}
	err := page.Scan(strings.NewReader("a 1\n"), []string{"a"}, func(*page.Sample) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("refused by the caller: got %v", err)
	}
}

// chain reads one after the other; io.MultiReader would too, but for its shortcut on strings.
type chain struct {
	first, then interface{ Read([]byte) (int, error) }
}

func (c *chain) Read(into []byte) (int, error) {
	n, err := c.first.Read(into)
	if err != nil {
		return c.then.Read(into)
	}
	return n, nil
}

func TestSane(t *testing.T) {
	for value, want := range map[float64]bool{0: true, 1e15: true, -1: false, 2e15: false, math.Inf(1): false, math.Inf(-1): false} {
		if got := page.Sane(value); got != want {
			t.Errorf("%g: got %t", value, got)
		}
	}
	if page.Sane(math.NaN()) {
		t.Error("NaN is sane")
	}
}

// FuzzScan: whatever a guest answers, reading it ends, without a panic, and only in families that were
// asked for.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "a 1\n", `a{x="1",y="\""} NaN 5`, `a{`, `a{x=`, `a{x="\`, "a{} 1\nb 2\n", "a{,,} -Inf", "# b\na  7\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		samples, err := scan(text, "a", "longer_name")
		if err != nil {
			return
		}
		for _, s := range samples {
			if s.Family != "a" && s.Family != "longer_name" {
				t.Errorf("family %q", s.Family)
			}
		}
		if lines := strings.Count(text, "\n") + 1; len(samples) > lines {
			t.Errorf("%d samples in %d lines", len(samples), lines)
		}
	})
}
