package cli

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// gear writes an explanation as text.
func (d *description) gear(x *gearExplanation) {
	fields := [][2]string{
		{"Cluster", x.Cluster},
		{"Cell", x.Cell},
		{"Availability", string(x.Availability)},
		{"Gear", gearText(x.Size, x.Tuning, x.Wanted)},
		{"Reason", reasonText(x.Reason, x.Message)},
	}
	if x.Capacity != nil {
		limits := fmt.Sprintf("; limits: %d nodes, a database of %s", x.Limits.Nodes, bytesText(x.Limits.DatabaseBytes.Value()))
		fields = append(fields, [2]string{"Capacity", resourcesText(x.Capacity) + " in each zone" + limits})
	}
	if x.Demand != nil {
		fields = append(fields, [2]string{"Demand", resourcesText(x.Demand) + " in each zone" + x.lowerBound()}, [2]string{"Headroom", x.headroom()})
	}
	fields = append(fields,
		[2]string{"Sampled", x.sampled()},
		[2]string{"Not read", ifKnown(x.loadKnown, metricNames(x.Missing))},
		[2]string{"Next shift", x.next()},
		[2]string{"Bounds", x.bounds()},
		[2]string{"Window", windowText(x.Window, x.OpensInSeconds)},
		[2]string{"Frozen by", ifKnown(x.freezesKnown, strings.Join(x.Frozen, ", "))})
	d.fields(fields)
	for _, note := range x.Notes {
		d.fields([][2]string{{"Note", note}})
	}
	d.terms(x)
	d.outlook(x.titleUp(), x.Up)
	d.outlook(x.titleDown(), x.Down)
}

// ifKnown is the text, or that it is not known: a note says why.
func ifKnown(known bool, text string) string {
	if known || text != "" {
		return text
	}
	return "not known"
}

// gearText names the gear of the size, and those of the tuning and of the load where they are others.
func gearText(size, tuning, wanted string) string {
	var other []string
	if tuning != size && size != "" && tuning+wanted != "" {
		other = append(other, "tuning "+orNone(tuning))
	}
	if wanted != "" && wanted != size {
		other = append(other, "its load asks for "+wanted)
	}
	if len(other) == 0 {
		return size
	}
	return dash(size) + " (" + strings.Join(other, ", ") + ")"
}

// gearLine is a cluster's gear and why it has it, in one line; empty while it has none.
func gearLine(cluster *v1alpha1.Cluster, plane *v1alpha1.ControlPlane) string {
	var size, tuning string
	if plane != nil {
		size, tuning = plane.Spec.Size.Gear, plane.Spec.Size.Gear
		if plane.Spec.Tuning != nil {
			tuning = plane.Spec.Tuning.Gear
		}
	}
	shown := cluster.Status.Gear
	if shown == nil {
		return gearText(size, tuning, "")
	}
	if plane == nil {
		size, tuning = shown.Size, shown.Tuning
	}
	return gearText(size, tuning, shown.Wanted) + "; " + reasonText(shown.Reason, shown.Message)
}

func orNone(gear string) string {
	if gear == "" {
		return "of none yet"
	}
	return gear
}

func reasonText(reason, message string) string {
	if message == "" {
		return reason
	}
	return reason + ": " + message
}

func resourcesText(r *v1alpha1.Resources) string {
	return fmt.Sprintf("CPU %s, memory %s", coresText(r.CPU.MilliValue()), bytesText(r.Memory.Value()))
}

// lowerBound says that a demand without some of its metrics may be more.
func (x *gearExplanation) lowerBound() string {
	if len(x.Lacking) == 0 {
		return ""
	}
	return " or more: metrics that have a factor could not be read"
}

// headroom is what the demand leaves of the gear's capacity.
func (x *gearExplanation) headroom() string {
	if x.Capacity == nil {
		return ""
	}
	cpu, memory := float64(x.Capacity.CPU.MilliValue()), float64(x.Capacity.Memory.Value())
	return fmt.Sprintf("CPU %s, memory %s of the capacity",
		percentText(cpu-float64(x.Demand.CPU.MilliValue()), cpu), percentText(memory-float64(x.Demand.Memory.Value()), memory))
}

func (x *gearExplanation) sampled() string {
	if x.SampledAt == nil {
		return ifKnown(x.loadKnown, "")
	}
	text := fmt.Sprintf("%s (%s ago)", x.SampledAt.UTC().Format(time.RFC3339), spanText(time.Duration(x.AgeSeconds)*time.Second))
	if x.Stale {
		text += fmt.Sprintf(": too old to shift on (over %s)", seconds(&x.rules.StaleSeconds))
	}
	return text
}

func metricNames(names []v1alpha1.LoadMetricName) string {
	text := make([]string, 0, len(names))
	for _, name := range names {
		text = append(text, string(name))
	}
	return strings.Join(text, ", ")
}

// next is the shift that the hub waits for.
func (x *gearExplanation) next() string {
	wait := x.Toward
	if wait == nil {
		return "none is waited for"
	}
	when := "as soon as nothing holds it"
	if wait.InSeconds > 0 {
		when = "in " + spanText(time.Duration(wait.InSeconds)*time.Second)
	}
	return fmt.Sprintf("to %s %s, if its load still asks for it then (since %s, and for %s)",
		wait.Gear, when, clockText(wait.Since), spanText(time.Duration(wait.DelaySeconds)*time.Second))
}

func clockText(at metav1.Time) string { return at.UTC().Format(time.TimeOnly) + " UTC" }

func spanText(span time.Duration) string { return duration.HumanDuration(span) }

func (x *gearExplanation) bounds() string {
	switch bounds := x.Bounds; {
	case !x.boundsKnown:
		return "not known"
	case bounds.Pinned != "":
		return "pinned to " + bounds.Pinned
	case bounds.Min != "" && bounds.Max != "":
		return bounds.Min + " to " + bounds.Max
	case bounds.Min != "":
		return bounds.Min + " and above"
	case bounds.Max != "":
		return "up to " + bounds.Max
	}
	return "any gear"
}

func windowText(window *v1alpha1.MaintenanceWindow, opensIn int64) string {
	if window == nil {
		return "always open"
	}
	days := "every day"
	if len(window.Days) > 0 {
		days = strings.Join(window.Days, ", ")
	}
	state := "open"
	if opensIn > 0 {
		state = "opens in " + spanText(time.Duration(opensIn)*time.Second)
	}
	return fmt.Sprintf("%s %s UTC for %s: %s", days, window.Start, spanText(time.Duration(window.DurationMinutes)*time.Minute), state)
}

// terms shows how the demand adds up.
func (d *description) terms(x *gearExplanation) {
	if x.Demand == nil {
		return
	}
	rows := [][]string{{"base", "", "", "", coresText(x.Base.CPU.MilliValue()), "", bytesText(x.Base.Memory.Value())}}
	for _, term := range x.Terms {
		rows = append(rows, []string{
			string(term.Metric), metricText(term.Metric, term.Value), metricText(term.Metric, term.Share),
			"× " + term.Factor.CPU.String(), coresText(term.Amount.CPU.MilliValue()),
			"× " + term.Factor.Memory.String(), bytesText(term.Amount.Memory.Value()),
		})
	}
	rows = append(rows, []string{"demand", "", "", "", coresText(x.Demand.CPU.MilliValue()), "", bytesText(x.Demand.Memory.Value())})
	d.section("What the load takes", []string{"METRIC", "VALUE", "IN A ZONE", "CPU EACH", "CPU", "MEMORY EACH", "MEMORY"}, rows)
}

func (x *gearExplanation) titleUp() string {
	if x.Up == nil {
		return ""
	}
	return fmt.Sprintf("Up to %s, when demand is above %d %% of the CPU or memory of %s, or a limit of it is exceeded, for %s",
		x.Up.Gear, x.Up.Percent, x.Size, seconds(x.rules.UpDelaySeconds))
}

func (x *gearExplanation) titleDown() string {
	if x.Down == nil {
		return ""
	}
	title := fmt.Sprintf("Down to %[1]s, when demand is at most %[2]d %% of the CPU and memory of %[1]s, and within its limits, for %[3]s",
		x.Down.Gear, x.Down.Percent, seconds(x.rules.DownDelaySeconds))
	if len(x.Lacking) > 0 {
		title += "; not before " + metricNames(x.Lacking) + " can be read"
	}
	return title
}

// outlook shows which metric alone would move the guest.
func (d *description) outlook(title string, to *gearStep) {
	switch {
	case to == nil || d.err != nil:
	case to.Now && to.Lacks != "":
		_, d.err = fmt.Fprintf(d.out, "\n%s:\n  it is so now: %s\n", title, to.Lacks)
	case to.Now:
		_, d.err = fmt.Fprintf(d.out, "\n%s:\n  it is so now\n", title)
	case len(to.Edges) == 0 && to.Lacks != "":
		_, d.err = fmt.Fprintf(d.out, "\n%s:\n  no metric alone does it: %s\n", title, to.Lacks)
	case len(to.Edges) == 0:
		_, d.err = fmt.Fprintf(d.out, "\n%s:\n  no metric alone does it\n", title)
	default:
		d.edges(title+"; each metric alone, all else equal", to.Edges)
	}
}

func (d *description) edges(title string, edges []gearEdge) {
	columns, upward := []string{"METRIC", "NOW", "AT MOST"}, edges[0].Lacks != ""
	if upward {
		columns = []string{"METRIC", "NOW", "FROM", "BECAUSE"}
	}
	rows := make([][]string, 0, len(edges))
	for _, edge := range edges {
		row := []string{string(edge.Metric), metricText(edge.Metric, edge.Value), metricText(edge.Metric, edge.At), edge.Lacks}
		rows = append(rows, row[:len(columns)])
	}
	d.section(title, columns, rows)
}
