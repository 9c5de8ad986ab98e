// Package plots keeps what is written of runs of the scale command, and shows it: how the costs of a fleet grow with
// its size, and what its largest runs took over time. The page is one HTML file that needs nothing else: no script,
// no font, no network. Charts are SVG made by templates, as in internal/capacity/report.
package plots

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"
)

//go:embed *.gohtml
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"count": count, "day": day, "broken": broken, "across": across, "down": down, "reversed": reversed,
}).ParseFS(files, "*.gohtml"))

// page is what the template of the page needs.
type page struct {
	Runs      []Run
	Growth    []chart
	Timelines []timeline
}

// Write reads all runs of a directory (out/bench/scale) and writes their plots to its index.html.
func Write(dir string) error {
	runs, err := Read(dir)
	if err != nil {
		return err
	}
	p := page{Runs: runs, Growth: growthCharts(runs)}
	for i := range runs {
		if runs[i].Clusters == runs[len(runs)-1].Clusters {
			p.Timelines = append(p.Timelines, timelineOf(&runs[i]))
		}
	}
	var html bytes.Buffer
	if err := templates.ExecuteTemplate(&html, "index.gohtml", p); err != nil {
		return fmt.Errorf("plot runs: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("plot runs: %w", err)
	}
	if err := renameio.WriteFile(filepath.Join(dir, "index.html"), html.Bytes(), 0o644); err != nil {
		return fmt.Errorf("plot runs: %w", err)
	}
	return nil
}

func count(n int) string { return number(float64(n), 0) }

// across and down are percent of a chart's width and height in its own units.
func across(at float64) float64 { return at * chartWidth / 100 }
func down(at float64) float64   { return at * chartHeight / 100 }

func reversed(all []series) []series {
	turned := slices.Clone(all)
	slices.Reverse(turned)
	return turned
}

func day(at time.Time) string { return at.UTC().Format(time.DateOnly) }
