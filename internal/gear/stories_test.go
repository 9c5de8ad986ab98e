package gear

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the transcripts in testdata")

// scene of a story: what changes, and for how long it is then watched.
type scene struct {
	title  string
	change func(*guest)
	lasts  time.Duration
}

// tick is how often the agent of a story reports.
const tick = 15 * time.Second

// tell a story: each line is a change of what was decided or why.
func tell(t *testing.T, g *guest, scenes []scene) string {
	t.Helper()
	var transcript strings.Builder
	for _, s := range scenes {
		fmt.Fprintf(&transcript, "%s: %s\n", g.Now.Sub(start), s.title)
		s.change(g)
		for end := g.Now.Add(s.lasts); g.Now.Before(end); g.Now = g.Now.Add(tick) {
			if g.Healthy {
				g.fresh(g.Load)
			}
			before := g.Input
			d := g.decide(t)
			if d.Size != before.Size || d.Tuning != before.Tuning || d.Gear.Reason != before.Last.Reason {
				fmt.Fprintf(&transcript, "  %-9s %s/%s %s: %s\n", g.Now.Sub(start), d.Size, d.Tuning, d.Gear.Reason, d.Gear.Message)
			}
		}
	}
	return transcript.String()
}

func grows(nodes, perSecond string) func(*guest) {
	return func(g *guest) {
		g.Load = load(g.Now, map[v1alpha1.LoadMetricName]string{v1alpha1.LoadNodes: nodes, v1alpha1.LoadWritesPerSecond: perSecond})
	}
}

func TestStories(t *testing.T) {
	for name, scenes := range map[string][]scene{
		"climb": {
			{"an idle guest", grows("0", "1"), time.Minute},
			{"20 nodes come", grows("20", "5"), 3 * time.Minute},
			{"100 nodes", grows("100", "15"), 3 * time.Minute},
			{"and writes", grows("200", "60"), 3 * time.Minute},
		},
		"descent": {
			{"a busy guest", grows("200", "60"), 5 * time.Minute},
			{"everything is deleted", grows("0", "1"), 9 * time.Hour},
		},
		"spike": {
			{"an idle guest", grows("0", "1"), time.Minute},
			{"a spike shorter than the delay", grows("0", "80"), 30 * time.Second},
			{"and over", grows("0", "1"), 2 * time.Minute},
			{"a spike of a minute", grows("0", "80"), time.Minute},
			{"and over", grows("0", "1"), 4 * time.Hour},
		},
		"down": {
			{"a guest that grows", grows("50", "10"), 45 * time.Second},
			{"is not healthy in its new gear", func(g *guest) { g.Healthy = false }, 12 * time.Minute},
			{"is repaired, and still wants to grow", func(g *guest) { g.Healthy = true }, 80 * time.Minute},
			{"is down for another reason", func(g *guest) { g.Healthy = false }, time.Hour},
		},
		"fullcell": {
			{"a guest wants to grow, and so do 200 others", func(g *guest) {
				grows("50", "10")(g)
				g.Room = func(gear string) string {
					return "zone a would be used to 61 % of its CPU, and 60 % is the reserve's limit"
				}
			}, 5 * time.Minute},
			{"a neighbour leaves", func(g *guest) { g.Room = nil }, 2 * time.Minute},
			{"an absurd load", grows("9000000000", "9000000000"), 2 * time.Minute},
		},
		"gearboxreplaced": {
			{"a guest is about to grow", grows("50", "10"), 30 * time.Second},
			{"the gear that it goes to is taken away", func(g *guest) {
				g.Box.Ladder = append(g.Box.Ladder[:2:2], g.Box.Ladder[3:]...)
			}, 2 * time.Minute},
			{"so is the one that it has", func(g *guest) {
				g.Box.Ladder = append(g.Box.Ladder[:2:2], g.Box.Ladder[3:]...)
			}, 2 * time.Minute},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := tell(t, newGuest(v1alpha1.Zonal), scenes)
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("the story goes another way (run with -update if it should): %s", diff)
			}
		})
	}
}
