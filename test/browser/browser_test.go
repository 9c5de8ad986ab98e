// Package browser opens the HTML that we write in a real browser.
package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/internal/capacity"
	"github.com/myriad-fleet/myriad/internal/capacity/capacitytest"
	"github.com/myriad-fleet/myriad/internal/capacity/report"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// chromium finds the browser. In CI it must be there; elsewhere the test is skipped without it.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("there is no Chromium: run hack/browser-packages")
	}
	t.Skip("there is no Chromium: run hack/browser-packages")
	return ""
}

// write a report into a file, and read what it was made of back from its JSON. It returns the file's URL.
func write[T any](t *testing.T, name string, found *T, render func(*bytes.Buffer) error) string {
	t.Helper()
	var html bytes.Buffer
	if err := render(&html); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name+".html")
	if err := os.WriteFile(file, html.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if kept := os.Getenv("MYRIAD_KEEP_REPORTS"); kept != "" {
		if err := os.WriteFile(filepath.Join(kept, name+".html"), html.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
	var read T
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	*found = read
	return (&url.URL{Scheme: "file", Path: file}).String()
}

func capacityPage(t *testing.T, name string, shape capacitytest.Shape) (string, capacity.Capacity) {
	t.Helper()
	fleet := capacity.FleetOf(capacitytest.Objects(shape))
	found := capacity.CapacityOf(fleet, "", nil, capacity.Options{Now: shape.Now, Days: 365, Runs: 10, Seed: 1, Drift: capacity.DefaultDrift()})
	address := write(t, name, &found, func(out *bytes.Buffer) error { return report.Capacity(out, found) })
	return address, found
}

// TestCapacityReport: one cell, three regions and 40 cells, on a phone and on a desk, light and dark.
func TestCapacityReport(t *testing.T) {
	browser := newBrowser(t)
	one := capacitytest.Small(now)
	one.Regions = one.Regions[2:]
	shapes := map[string]capacitytest.Shape{"one": one, "small": capacitytest.Small(now), "large": capacitytest.Large(now)}
	for name, shape := range shapes {
		address, found := capacityPage(t, name, shape)
		want := map[string]string{}
		for _, region := range found.Regions {
			want[region.Region+"/guests"] = fmt.Sprint(region.Guests)
			want[region.Region+"/room"] = fmt.Sprint(region.Room.Guests)
			want[region.Region+"/fill"] = capacity.PercentText(region.FillPercent)
			want[region.Region+"/binds"] = region.Room.Binds
			for key, next := range map[string]func(*capacity.Forecast) string{
				"p50": func(f *capacity.Forecast) string { return f.P50.Date },
				"p95": func(f *capacity.Forecast) string { return f.P95.Date },
			} {
				switch {
				case region.Forecast == nil:
					want[region.Region+"/"+key] = "–"
				case next(region.Forecast) == "":
					want[region.Region+"/"+key] = "not in sight"
				default:
					want[region.Region+"/"+key] = next(region.Forecast)
				}
			}
			for _, cell := range region.Cells {
				want[cell.Cell+"/room"] = fmt.Sprint(cell.Room.Guests)
			}
		}
		for _, width := range []int64{390, 1280} {
			for _, scheme := range []string{"light", "dark"} {
				seen := browser.open(t, address, width, scheme)
				seen.check(t, fmt.Sprintf("%s, %d px, %s", name, width, scheme), want)
			}
		}
	}
}

func TestPlanReport(t *testing.T) {
	browser := newBrowser(t)
	ladder := capacity.FleetOf(capacitytest.Objects(capacitytest.Shape{Now: now, TimesPerYear: 2})).Ladder
	plan, err := capacity.PlanFleet(target(t), ladder, 1)
	if err != nil {
		t.Fatal(err)
	}
	address := write(t, "plan", &plan, func(out *bytes.Buffer) error { return report.Plan(out, plan, now) })
	want := map[string]string{}
	for _, total := range plan.Total {
		want[fmt.Sprintf("total/%d/cells", total.Day)] = fmt.Sprint(total.Cells)
		want[fmt.Sprintf("total/%d/nodes", total.Day)] = fmt.Sprint(total.Nodes)
		want[fmt.Sprintf("total/%d/cost", total.Day)] = fmt.Sprintf("%.0f EUR", total.CostPerMonth)
	}
	for _, width := range []int64{390, 1280} {
		browser.open(t, address, width, "light").check(t, fmt.Sprintf("plan, %d px", width), want)
	}
}

// target is a small one.
func target(t *testing.T) capacity.Target {
	t.Helper()
	var target capacity.Target
	err := json.Unmarshal([]byte(`{"currency": "EUR", "days": 365, "growth": "2x/year", "mix": [{"weight": 3, "gear": "nano", "vpc": true}, {"weight": 1, "gear": "small"}],
		"node": {"cores": "30", "memory": "120Gi", "pricePerMonth": 640}, "cell": {"zones": 3, "maxNodesPerZone": 6},
		"regions": [{"name": "cn-hangzhou", "guests": 300}, {"name": "eu-frankfurt", "guests": 100}]}`), &target)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

type browser struct{ ctx context.Context }

func newBrowser(t *testing.T) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("hide-scrollbars", true))
	allocated, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancelTab := chromedp.NewContext(allocated)
	t.Cleanup(cancelTab)
	ctx, cancelTime := context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancelTime)
	return &browser{ctx: ctx}
}

// seen is what the browser shows of a page.
type seen struct {
	// Complaints are errors of the console, and requests for anything but the page.
	complaints []string
	Page       shown
}

// shown is what a page looks like.
type shown struct {
	Overflow int               `json:"overflow"` // pixels beyond the window
	Charts   int               `json:"charts"`
	Empty    []string          `json:"empty"`    // charts without a size
	Nameless int               `json:"nameless"` // charts without a text alternative
	Outside  []string          `json:"outside"`  // texts that the window cuts off
	Cut      []string          `json:"cut"`      // numbers of phases that their place cuts off
	Overlaps []string          `json:"overlaps"` // texts beside the same axis, or of phases, that cover each other
	Figures  map[string]string `json:"figures"`
	Ground   string            `json:"ground"`
}

const look = `(() => {
	const charts = [...document.querySelectorAll('svg.graph')];
	const size = (svg) => { const box = svg.getBoundingClientRect(); return box.width >= 40 && box.height >= 8; };
	const texts = () => {
		const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
		while (walker.nextNode()) if (walker.currentNode.data.trim()) found.push(walker.currentNode);
		return found;
	};
	const leaves = (node) => {
		const range = document.createRange();
		range.selectNodeContents(node);
		return [...range.getClientRects()].some((box) => box.width > 0 && (box.left < 0 || box.right > window.innerWidth));
	};
	const overlaps = (group) => {
		const boxes = [...group.children].map((e) => [e.textContent, e.getBoundingClientRect()]).filter(([, box]) => box.width > 0);
		return boxes.flatMap(([a, one], i) => boxes.slice(i + 1).filter(([, other]) =>
			Math.min(one.right, other.right) - Math.max(one.left, other.left) > 0.5 && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 0.5,
		).map(([b]) => a + ' and ' + b));
	};
	return {
		overflow: document.documentElement.scrollWidth - window.innerWidth,
		charts: charts.length,
		empty: charts.filter((svg) => !size(svg)).map((svg) => svg.getAttribute('aria-label')),
		nameless: charts.filter((svg) => !svg.getAttribute('aria-label') || !svg.querySelector('title')).length,
		outside: texts().filter((node) => !node.parentElement.closest('.scroll, title, .bands em')).filter(leaves).map((node) => node.data.trim()),
		cut: [...document.querySelectorAll('.bands b')].filter((e) => {
			const box = e.getBoundingClientRect(), place = e.parentElement.getBoundingClientRect();
			return box.right > place.right + 0.5 || box.bottom > place.bottom + 0.5;
		}).map((e) => e.textContent),
		overlaps: [...document.querySelectorAll('.xaxis, .yaxis, .bands')].flatMap(overlaps),
		figures: Object.fromEntries([...document.querySelectorAll('[data-key]')].map((e) => [e.dataset.key, e.textContent.trim()])),
		ground: getComputedStyle(document.body).backgroundColor,
	};
})()`

// open a page in a window of that width.
func (b *browser) open(t *testing.T, address string, width int64, scheme string) *seen {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	defer cancel()
	found := &seen{}
	var mutex sync.Mutex
	err := chromedp.Listen(ctx, func(event any) {
		mutex.Lock()
		defer mutex.Unlock()
		switch event := event.(type) {
		case *runtime.EventExceptionThrown:
			found.complaints = append(found.complaints, "exception: "+event.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			found.complaints = append(found.complaints, "console: "+string(event.Type))
		case *network.EventRequestWillBeSent:
			if event.Request.URL != address && !strings.HasPrefix(event.Request.URL, "data:") {
				found.complaints = append(found.complaints, "request: "+event.Request.URL)
			}
		}
	})
	if err == nil {
		_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	}
	if err == nil {
		media := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
		_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: media})
	}
	if err == nil {
		err = chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(address))
	}
	if err == nil {
		found.Page, err = chromedp.Run(ctx, chromedp.Evaluate[shown](look))
	}
	if err != nil {
		t.Fatalf("open %s: %v", address, err)
	}
	mutex.Lock()
	defer mutex.Unlock()
	if dark := found.Page.Ground != "rgb(255, 255, 255)"; dark != (scheme == "dark") {
		t.Errorf("%s: scheme %s has the ground %s", address, scheme, found.Page.Ground)
	}
	return found
}

// check what must hold of every page. Want are figures by their key.
func (s *seen) check(t *testing.T, name string, want map[string]string) {
	t.Helper()
	if len(s.complaints) > 0 {
		t.Errorf("%s: the browser complains: %s", name, strings.Join(s.complaints, "; "))
	}
	if s.Page.Overflow > 0 {
		t.Errorf("%s: the page is %d px wider than the window", name, s.Page.Overflow)
	}
	if len(s.Page.Outside) > 0 || len(s.Page.Cut) > 0 || len(s.Page.Overlaps) > 0 {
		t.Errorf("%s: the window cuts off %q, a chart cuts off %q, and these texts cover each other: %q", name, s.Page.Outside, s.Page.Cut, s.Page.Overlaps)
	}
	if s.Page.Charts == 0 || len(s.Page.Empty) > 0 || s.Page.Nameless > 0 {
		t.Errorf("%s: of %d charts %d have no name, and these no size: %s", name, s.Page.Charts, s.Page.Nameless, s.Page.Empty)
	}
	got := map[string]string{}
	for key, value := range s.Page.Figures {
		got[key] = strings.ReplaceAll(value, "\u202f", "")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: figures: -JSON +page\n%s", name, diff)
	}
}
