package etcd

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

var update = flag.Bool("update", false, "write the transcripts anew")

// look is how often a guest that is not settled is looked at in these tests.
const look = 5 * time.Second

// transcript plays events (by the number of the look before which they happen) and writes down what is
// decided.
func transcript(w *world, looks int, events map[int]func(*world) string) string {
	var text strings.Builder
	start, last := w.now, ""
	for n := range looks {
		if event := events[n]; event != nil {
			fmt.Fprintf(&text, "      -- %s\n", event(w))
		}
		w.run(look)
		f, step := w.look()
		health, _ := Health(f, step)
		line := fmt.Sprintf("%s | %s=%s %s", said(step), health.Type, health.Status, health.Reason)
		if step.Kind != "" && step.Kind != Wait {
			line = string(step.Kind) + " " + line[strings.Index(line, " ")+1:]
		}
		if line != last {
			fmt.Fprintf(&text, "%5s %s\n      %s\n", w.now.Sub(start), line, w)
		}
		last = line
	}
	for _, problem := range w.problems {
		fmt.Fprintf(&text, "PROBLEM %s\n", problem)
	}
	return text.String()
}

func lose(zone string) func(*world) string {
	return func(w *world) string {
		*w.disks[zone] = disk{}
		return "the volume of zone " + zone + " is gone"
	}
}

func TestTranscripts(t *testing.T) {
	tests := map[string]struct {
		reason string
		world  *world
		looks  int
		events map[int]func(*world) string
	}{
		"replace": {
			"a member is replaced step by step, after a snapshot", newWorld("a", "b", "c"), 16,
			map[int]func(*world) string{1: lose("b")},
		},
		"corrupt-log": {
			"old data is thrown away only once the place for a new member is there", newWorld("a", "b", "c"), 24,
			map[int]func(*world) string{1: func(w *world) string { w.disks["c"].corrupt = true; return "the log of zone c is damaged" }},
		},
		"away": {"a dead zone is waited for; its data is not touched", newWorld("a", "b", "c"), 30, map[int]func(*world) string{
			1:  func(w *world) string { w.away["a"] = true; return "zone a hangs" },
			25: func(w *world) string { w.away["a"] = false; return "zone a is back" },
		}},
		"lost-while-away": {"a lost member waits for the zone without which there is no quorum", newWorld("a", "b", "c"), 24, map[int]func(*world) string{
			1:  func(w *world) string { w.away["a"] = true; return "zone a hangs" },
			2:  lose("b"),
			10: func(w *world) string { w.away["a"] = false; return "zone a is back" },
		}},
		"store-fails": {"a replacement waits for its snapshot", newWorld("a", "b", "c"), 30, map[int]func(*world) string{
			1:  func(w *world) string { w.broken = true; return "the store is away; " + lose("b")(w) },
			14: func(w *world) string { w.broken = false; return "the store is back" },
		}},
		"snapshots-refused": {"a replacement does not wait for a snapshot that may not be stored", newWorld("a", "b", "c"), 12, map[int]func(*world) string{
			1: func(w *world) string {
				w.refused = "area us is none of eu"
				return "snapshots are refused; " + lose("b")(w)
			},
		}},
		"single": {
			"one that lost its data stays down: there is nobody to copy from", newWorld("a"), 8,
			map[int]func(*world) string{1: lose("a")},
		},
		"two-lost": {
			"no quorum is left: nothing is made anew", newWorld("a", "b", "c"), 10,
			map[int]func(*world) string{1: func(w *world) string { return lose("a")(w) + "; " + lose("c")(w) }},
		},
		"corrupt-alarm": {"a member that differs is replaced, once it does not lead", newWorld("a", "b", "c"), 20, map[int]func(*world) string{
			1: func(w *world) string {
				w.alarms = []Alarm{{Member: 1, Kind: Corrupt}}
				return "etcd says that the data of zone a differs"
			},
		}},
		"defragment": {"one after the other, the leader last", newWorld("a", "b", "c"), 8, map[int]func(*world) string{
			1: func(w *world) string {
				for _, d := range w.disks {
					d.bytes, d.inUse = 900<<20, 100<<20
				}
				return "many objects were deleted"
			},
		}},
		"no-space": {"the history is cut, members are defragmented, writes are let in once", newWorld("a", "b", "c"), 90, map[int]func(*world) string{
			1: func(w *world) string {
				for _, d := range w.disks {
					d.bytes, d.inUse = quota, quota
				}
				w.alarms = []Alarm{{Member: 1, Kind: NoSpace}, {Member: 2, Kind: NoSpace}}
				return "the database is full of history"
			},
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := transcript(test.world, test.looks, test.events)
			golden := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s:\n%s", test.reason, diff)
			}
			if len(test.world.problems) > 0 {
				t.Error(test.world.problems)
			}
		})
	}
}

// TestAlwaysSettles lets volumes be lost, zones die, hang and come back, the store fail and the agent
// be killed before and after each step, in any order; at the end all must be whole again, and no
// rule broken on the way.
func TestAlwaysSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld("a", "b", "c")
		w.store = rapid.Bool().Draw(t, "store")
		w.refused = rapid.SampledFrom([]string{"", "area us is none of eu"}).Draw(t, "refused")
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			zone := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "zone")
			switch rapid.SampledFrom([]string{"look", "look", "look", "look", "lose", "damage", "away", "back", "crash", "half", "store"}).Draw(t, "event") {
			case "lose":
				if w.mayLose(zone) {
					*w.disks[zone] = disk{}
				}
			case "damage":
				if w.mayLose(zone) && w.disks[zone].member != 0 {
					w.disks[zone].corrupt = true
				}
			case "away":
				w.away[zone] = true
			case "back":
				w.away[zone] = false
			case "crash":
				w.forget()
			case "half": // the agent dies between a step and its note
				f := w.facts()
				f.Memory = f.Seen()
				_ = w.act(Next(f))
				w.forget()
			case "store":
				w.broken = !w.broken
			default:
				w.run(time.Duration(rapid.IntRange(1, 60).Draw(t, "seconds")) * time.Second)
				w.look()
			}
			if len(w.problems) > 0 {
				t.Fatalf("%s: %v", w, w.problems)
			}
		}
		clear(w.away)
		w.broken = false
		for range 60 {
			w.run(look)
			w.look()
		}
		if len(w.problems) > 0 || !w.settled() {
			t.Fatalf("not settled: %s; %v", w, w.problems)
		}
	})
}

// mayLose: with the zone's data gone, a quorum of the voters still has all of its own, or else nothing
// could be repaired.
func (w *world) mayLose(zone string) bool {
	all, _ := w.voters()
	whole := 0
	for _, other := range all {
		d := w.disks[other]
		if other != zone && d.member == w.listed(other).ID && !d.corrupt && d.entries >= w.acked {
			whole++
		}
	}
	return whole > len(all)/2
}

// TestFillsUpAgain: whoever fills a database at once is let in every quarter of an hour, no more.
func TestFillsUpAgain(t *testing.T) {
	w := newWorld("a", "b", "c")
	disarmed := 0
	for range 12 * 60 { // an hour
		w.alarms = []Alarm{{Member: 1, Kind: NoSpace}}
		w.run(look)
		if _, step := w.look(); step.Kind == Disarm {
			disarmed++
		}
	}
	if disarmed < 2 || disarmed > 5 {
		t.Errorf("a database that filled up at once was opened %d times within an hour; want about 4", disarmed)
	}
}

// TestDefragmentedOnce: a defragmentation that gives nothing back is not repeated at every look.
func TestDefragmentedOnce(t *testing.T) {
	w := newWorld("a", "b", "c")
	tried := 0
	for range 12 * 30 { // half an hour
		w.disks["b"].bytes, w.disks["b"].inUse = 900<<20, 100<<20
		w.run(look)
		if _, step := w.look(); step.Kind == Defragment {
			tried++
		}
	}
	if tried != 1 {
		t.Errorf("a member whose database stays large was defragmented %d times in half an hour; want 1", tried)
	}
}

func TestLostData(t *testing.T) {
	for words, want := range map[string]bool{
		sealedWords: true, corruptWords: true, earlierWords: true,
		"exit status 2 after 0.2s: panic: failed to recover v3 backend from snapshot: failed to find database snapshot file (snap: snapshot file doesn't exist)": true,
		"exit status 1 after 100ms: discovery failed: proto: integer overflow":                                                                                   true,
		"exit status 2: panic: cannot use none as id":                                                                                                            true,
		"exit status 2: panic: failed to open database: invalid database":                                                                                        true,
		"exit status 2: panic: assertion failed: Page expected to be: 10, but self identifies as 5936962175519945736":                                            true,
		"exit status 2: panic: freepages: failed to get all reachable pages (key[7]=(hex)00 on leaf page(10) needs to be > …":                                    true,
		removedWords:                false,
		"":                          false,
		"signal: killed after 3m0s": false,
		"exit status 1: open /data/member/wal: permission denied":                false,
		"exit status 1: write 0.tmp: no space left on device":                    false,
		"exit status 2: fatal error: fault":                                      false, // a disk that cannot be read now
		"exit status 1: listen tcp 127.9.1.2:2379: bind: address already in use": false,
	} {
		if got := LostData(words); got != want {
			t.Errorf("LostData(%q) = %t; want %t", words, got, want)
		}
	}
}

// TestStrangers: a member that a person added is theirs, and holds everything up.
func TestStrangers(t *testing.T) {
	w := newWorld("a", "b", "c")
	w.members = append(w.members, Member{ID: 77, Name: "mine", PeerURLs: []string{"https://mine:2380"}})
	w.disks["b"].bytes, w.disks["b"].inUse = 900<<20, 100<<20
	w.run(look)
	f, step := w.look()
	health, _ := Health(f, step)
	if step.Kind != Wait || !strings.Contains(step.Reason, "https://mine:2380") || health.Reason != v1alpha1.ReasonEtcdUnknown {
		t.Errorf("with a member of somebody else's: %+v, %+v", step, health)
	}
}

// TestIrreplaceable: guests of revisions that start members anew are only told of.
func TestIrreplaceable(t *testing.T) {
	w := newWorld("a", "b", "c")
	*w.disks["b"] = disk{}
	for range 10 {
		w.run(look)
		f := w.facts()
		f.Irreplaceable = "it is rendered by revision 2"
		f.Memory = f.Seen()
		w.memory = f.Memory
		if step := Next(f); step.Kind == Remove || step.Kind == Snapshot {
			t.Fatalf("got %+v", step)
		}
	}
}

func TestRestartIsNoNews(t *testing.T) {
	w := newWorld("a", "b", "c")
	w.run(look)
	w.look()
	w.away["b"] = true
	var told []bool
	for range 6 {
		w.run(look)
		f, step := w.look()
		health, tell := Health(f, step)
		if health.Reason != v1alpha1.ReasonMemberMissing {
			t.Errorf("got %+v", health)
		}
		told = append(told, tell)
	}
	if want := []bool{false, false, false, false, true, true}; !slices.Equal(told, want) {
		t.Errorf("a member that is away was told of at %v; want %v", told, want)
	}
}

// TestAfterDiscard: for a while after a zone's data was thrown away the runtime tells of what was before.
func TestAfterDiscard(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	words := "exit status 1: cannot fetch cluster info from peer urls"
	tests := map[string]struct {
		reason    string
		name      string
		component runtime.Component
		status    *Status
		ago       time.Duration
		want      Kind
	}{
		"LastWords": {
			"a member that has just joined is not removed for what the one before it said", "etcd-a",
			runtime.Component{State: runtime.Starting, LastExit: words},
			nil, 12 * time.Second, Wait,
		},
		"LostAgain": {
			"one that dies of it for longer has lost its data, too", "etcd-a",
			runtime.Component{State: runtime.BackOff, LastExit: words},
			nil, time.Minute, Remove,
		},
		"Removed": {
			"a member that was removed and runs on does not keep the new one out", "",
			runtime.Component{State: runtime.Running, Ready: true},
			&Status{ID: 7}, time.Minute, Discard,
		},
		"Starting": {
			"the new member is waited for", "",
			runtime.Component{State: runtime.Starting},
			nil, time.Minute, Wait,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			f := Facts{
				Now: now, Listed: true,
				Zones: []Zone{
					{Name: "a", PeerURL: "https://a", Start: controlplane.EtcdJoin, Component: tc.component, Status: tc.status},
					{Name: "b", PeerURL: "https://b", Status: &Status{ID: 2, Leader: 2}},
				},
				Members: []Member{{ID: 1, Name: tc.name, PeerURLs: []string{"https://a"}, Learner: true}, {ID: 2, Name: "etcd-b", PeerURLs: []string{"https://b"}}},
				Memory: Memory{
					LostSince: map[string]time.Time{"a": now.Add(-tc.ago)},
					Discarded: map[string]time.Time{"a": now.Add(-tc.ago)},
				},
			}
			if got := Next(f); got.Kind != tc.want {
				t.Errorf("%s: got %s (%s), want %s", tc.reason, got.Kind, got.Reason, tc.want)
			}
		})
	}
	memory := Memory{LostSince: map[string]time.Time{"a": now, "b": now}}.Done(Step{Kind: Discard, Zone: "a"}, now, nil)
	if diff := cmp.Diff(map[string]time.Time{"b": now}, memory.LostSince); diff != "" {
		t.Errorf("what was lost is thrown away (-want +got):\n%s", diff)
	}
}

// TestRefusedSnapshots: none is taken, and whoever looks is told why.
func TestRefusedSnapshots(t *testing.T) {
	w := newWorld("a", "b", "c")
	w.refused = "area us is none of eu"
	lose("b")(w)
	told := false
	for range 12 {
		w.run(look)
		f, step := w.look()
		if step.Kind == Snapshot {
			t.Fatalf("a snapshot is taken although none may be: %+v", step)
		}
		health, _ := Health(f, step)
		told = told || strings.HasSuffix(health.Message, "; snapshots are refused, so none was taken before: area us is none of eu")
	}
	if !told || !w.settled() {
		t.Errorf("told: %t; %s", told, w)
	}
}
