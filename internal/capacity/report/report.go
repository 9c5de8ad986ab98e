// Package report writes what the planner found as one HTML file that needs nothing else: no script, no font, no
// network. Charts are SVG made by templates: they take the reader's light or dark, keep their letters readable on a
// phone, and say in words what they show, which no plotting library's SVG does.
package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/myriad-fleet/myriad/internal/capacity"
)

//go:embed *.gohtml
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"percent": capacity.PercentText, "number": number, "count": count, "bars": barsOf, "moment": moment,
	"anchor": anchor, "fullestLoss": fullestLoss, "money": money, "width": width, "pct": pct, "part": part, "third": third,
	"forecastOf": forecastOf, "mixOnly": mixOnly, "mostCost": mostCost,
}).ParseFS(files, "*.gohtml"))

// Capacity writes the report of a capacity.
func Capacity(out io.Writer, found capacity.Capacity) error {
	return write(out, "capacity.gohtml", found)
}

// Plan writes the report of a fleet plan, made at that time.
func Plan(out io.Writer, plan capacity.FleetPlan, at time.Time) error {
	return write(out, "plan.gohtml", struct {
		capacity.FleetPlan

		At time.Time
	}{plan, at})
}

func write(out io.Writer, name string, value any) error {
	if err := templates.ExecuteTemplate(out, name, value); err != nil {
		return fmt.Errorf("write HTML report: %w", err)
	}
	return nil
}

// number with its thousands parted by a narrow space.
func number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, digit := range digits {
		if rest := len(digits) - i; i > 0 && rest%3 == 0 && digits[i-1] != '-' {
			b.WriteRune('\u202f')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

func count(n int) string { return number(int64(n)) }

// money in whole units.
func money(amount float64, currency string) string {
	return strings.TrimSpace(number(int64(math.Round(amount))) + " " + currency)
}

func moment(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }

// anchor is a name that a link can lead to.
func anchor(kind, name string) string { return kind + "-" + name }

// width of a bar: a percentage from 0 to 100.
func width(percent float64) string { return strconv.FormatFloat(min(max(percent, 0), 100), 'f', 2, 64) }

// fullestLoss is the zone of a cell whose death leaves another the fullest.
func fullestLoss(losses []capacity.ZoneLoss) *capacity.ZoneLoss {
	var worst *capacity.ZoneLoss
	for i := range losses {
		if worst == nil || losses[i].WorstPercent > worst.WorstPercent {
			worst = &losses[i]
		}
	}
	return worst
}

// zoneBar is how full one zone of a cell is of what it is fullest of.
type zoneBar struct {
	capacity.Level

	// Used and AfterLoss in percent of the capacity, as a bar shows them.
	UsedWidth, AfterLossWidth string
	// Limits of both.
	Limit, AfterLossLimit string
	// State: ok, "near full" (of what may be used less than a tenth is left), full or over.
	State string
}

// barsOf a cell: for each zone the thing that it is fullest of.
func barsOf(cell capacity.CellCapacity) []zoneBar {
	var bars []zoneBar
	for _, level := range cell.Levels {
		bar := zoneBar{
			Level: level, UsedWidth: width(level.Percent), AfterLossWidth: width(level.AfterLossPercent),
			Limit: width(level.LimitPercent), AfterLossLimit: width(level.AfterLossLimitPercent), State: state(level.Fill()),
		}
		if n := len(bars); n > 0 && bars[n-1].Zone == level.Zone {
			if bars[n-1].Fill() < level.Fill() {
				bars[n-1] = bar
			}
			continue
		}
		bars = append(bars, bar)
	}
	return bars
}

func state(fill float64) string {
	switch {
	case fill > 100:
		return "over"
	case fill >= 99.5: // as PercentText rounds
		return "full"
	case fill > 90:
		return "near full"
	}
	return "ok"
}

// pct is a share in percent.
func pct(share float64) float64 { return 100 * share }

// part of a whole as the width of a bar.
func part(amount, whole float64) string {
	if whole <= 0 {
		return width(0)
	}
	return width(100 * amount / whole)
}

// third of a hundred units of the page is one of the chart's height.
func third(at float64) float64 { return at * chartHeight / 100 }

// forecastPart is what the template of a forecast needs.
type forecastPart struct {
	Region, Binds string
	Chart         chart
	// Monthly points, four weeks apart.
	Monthly []capacity.Point
}

func forecastOf(region capacity.RegionCapacity, at time.Time) forecastPart {
	p := forecastPart{Region: region.Region, Binds: region.Forecast.Binds, Chart: chartOf(region, at)}
	for i, point := range region.Forecast.Points {
		if i%4 == 0 {
			p.Monthly = append(p.Monthly, point)
		}
	}
	return p
}

// mixOnly is a region of which nothing but the mix is known.
func mixOnly(mix []capacity.MixShare) capacity.RegionCapacity {
	return capacity.RegionCapacity{Mix: mix}
}

func mostCost(total []capacity.Amounts) float64 {
	most := 0.0
	for _, amounts := range total {
		most = max(most, amounts.CostPerMonth)
	}
	return most
}
