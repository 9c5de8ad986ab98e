package cli

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/gear"
)

func newGearsExplain(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "explain CLUSTER",
		Short: "Show why a cluster has its gear, what would move it, and when",
		Long: `Show why a cluster has its gear: what each metric of its load takes, what that adds up to, and how much of
the gear it leaves free; then which metric alone would have to reach which value to move it up or down, and when it moves;
and what holds it: its bounds, its maintenance window, a freeze. The numbers come from the functions that the hub decides with.`,
		Example:           "  myriad gears explain hello\n  myriad gears explain -n team-a shop -o json",
		Args:              arguments(1, 1),
		ValidArgsFunction: s.completeWords(false, s.clusterNames),
		RunE: func(command *cobra.Command, given []string) error {
			return s.explainGear(command.Context(), given[0])
		},
	}
}

func (s *session) explainGear(ctx context.Context, name string) error {
	if err := s.onlyFields(); err != nil {
		return err
	}
	hub, err := s.hub()
	if err != nil {
		return err
	}
	cluster, err := s.findCluster(ctx, hub, name)
	if err != nil {
		return err
	}
	evidence := gatherGearEvidence(ctx, hub, cluster)
	explanation := evidence.explain(s.clock.Now())
	if s.output != outputTable {
		return s.encode(explanation)
	}
	d := &description{out: s.out}
	d.gear(explanation)
	return d.err
}

// gearEvidence is what the hub tells of a guest's gear. What could not be read is nil, and said in notes:
// tenants may read less than operators.
type gearEvidence struct {
	cluster  *v1alpha1.Cluster
	plane    *v1alpha1.ControlPlane
	box      *v1alpha1.Gearbox
	template *v1alpha1.ClusterTemplate
	cell     *v1alpha1.Cell
	notes    []string
}

func gatherGearEvidence(ctx context.Context, hub client.Client, cluster *v1alpha1.Cluster) gearEvidence {
	e := gearEvidence{cluster: cluster}
	note := func(err error) bool {
		if err != nil {
			e.notes = append(e.notes, err.Error())
		}
		return err == nil
	}
	if plane, err := readControlPlane(ctx, hub, cluster); note(err) {
		e.plane = plane
	}
	if box, err := findGearbox(ctx, hub); note(err) {
		e.box = box
	}
	var template v1alpha1.ClusterTemplate
	err := hub.Get(ctx, client.ObjectKey{Name: cluster.Spec.Template}, &template)
	if note(explain("read template "+cluster.Spec.Template, err)) {
		e.template = &template
	}
	if cluster.Status.Cell == "" {
		e.notes = append(e.notes, "it has no cell yet; look with 'myriad cluster describe "+cluster.Name+"'")
	} else if cell, err := findCell(ctx, hub, cluster.Status.Cell); note(err) {
		e.cell = cell
	}
	return e
}

// gearExplanation is why a guest has its gear, as 'gears explain -o json' prints it.
type gearExplanation struct {
	Cluster      string                `json:"cluster"` // namespace/name
	ID           string                `json:"id,omitempty"`
	Cell         string                `json:"cell,omitempty"`
	Availability v1alpha1.Availability `json:"availability,omitempty"`

	// Size and Tuning are the gears that the order has; Wanted is what the load asks for.
	Size    string `json:"size,omitempty"`
	Tuning  string `json:"tuning,omitempty"`
	Wanted  string `json:"wanted,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`

	SampledAt  *metav1.Time              `json:"sampledAt,omitempty"`
	AgeSeconds int64                     `json:"ageSeconds,omitempty"` // of the sample
	Stale      bool                      `json:"stale,omitempty"`      // too old to shift on
	Missing    []v1alpha1.LoadMetricName `json:"missing,omitempty"`    // metrics that could not be read
	// Lacking are those of the missing metrics that have a factor: the demand is a lower bound, and the guest
	// does not shift down.
	Lacking  []v1alpha1.LoadMetricName `json:"lacking,omitempty"`
	Base     *v1alpha1.Resources       `json:"base,omitempty"`
	Terms    []gearTerm                `json:"terms,omitempty"`
	Demand   *v1alpha1.Resources       `json:"demand,omitempty"`
	Capacity *v1alpha1.Resources       `json:"capacity,omitempty"`
	Limits   *v1alpha1.GearLimits      `json:"limits,omitempty"`

	Up     *gearStep `json:"up,omitempty"`
	Down   *gearStep `json:"down,omitempty"`
	Toward *gearWait `json:"toward,omitempty"` // the shift that is being waited for

	Bounds v1alpha1.GearBounds         `json:"bounds"`
	Window *v1alpha1.MaintenanceWindow `json:"maintenanceWindow,omitempty"`
	// OpensInSeconds until the window is open; 0: it is, or there is none.
	OpensInSeconds int64                 `json:"opensInSeconds,omitempty"`
	Frozen         []string              `json:"frozen,omitempty"` // by what
	Notes          []string              `json:"notes,omitempty"`  // what could not be told, and why
	rules          v1alpha1.GearShifting // when guests shift
	// Whether what is told of the load, the bounds and the freezes is known at all.
	loadKnown, boundsKnown, freezesKnown bool
}

// gearTerm is what one metric takes.
type gearTerm struct {
	Metric v1alpha1.LoadMetricName `json:"metric"`
	Value  float64                 `json:"value"` // in the whole guest
	Share  float64                 `json:"share"` // that one zone must carry
	Factor v1alpha1.Resources      `json:"factor"`
	Amount v1alpha1.Resources      `json:"amount"`
}

// gearStep is what takes a guest to the gear next to its own.
type gearStep struct {
	Gear    string     `json:"gear"`
	Percent int32      `json:"percent"`         // of capacity, where the band ends
	Now     bool       `json:"now"`             // the load asks for it already
	Lacks   string     `json:"lacks,omitempty"` // what the guest's gear, on its way down the lower one, has too little of
	Edges   []gearEdge `json:"edges,omitempty"`
}

// gearEdge is where one metric alone takes a guest there.
type gearEdge struct {
	Metric v1alpha1.LoadMetricName `json:"metric"`
	Value  float64                 `json:"value"`
	At     float64                 `json:"at"`
	Lacks  string                  `json:"lacks,omitempty"` // what the guest's gear has too little of there
}

// gearWait is a shift that is being waited for.
type gearWait struct {
	Gear         string      `json:"gear"`
	Since        metav1.Time `json:"since"`
	DelaySeconds int64       `json:"delaySeconds"`
	InSeconds    int64       `json:"inSeconds"` // 0: as soon as the hub looks
}

func (e gearEvidence) explain(now time.Time) *gearExplanation {
	status := e.cluster.Status
	x := &gearExplanation{
		Cluster: e.cluster.Namespace + "/" + e.cluster.Name, ID: status.ID, Cell: status.Cell,
		Availability: status.Availability, Notes: e.notes, Window: e.cluster.Spec.MaintenanceWindow,
	}
	if shown := status.Gear; shown != nil {
		x.Size, x.Tuning, x.Wanted, x.Reason, x.Message = shown.Size, shown.Tuning, shown.Wanted, shown.Reason, shown.Message
	}
	if _, until := gear.WindowOpen(x.Window, now); x.Window != nil {
		x.OpensInSeconds = int64(until.Seconds())
	}
	if e.plane != nil {
		x.loadKnown = true
		x.Size, x.Availability = e.plane.Spec.Size.Gear, e.plane.Spec.Availability
		if e.plane.Spec.Tuning != nil {
			x.Tuning = e.plane.Spec.Tuning.Gear
		}
	}
	e.explainHolds(x)
	if e.plane != nil && e.plane.Spec.RenderRevision < controlplane.TuningRevision {
		x.Notes = append(x.Notes, fmt.Sprintf("its gear is not computed: its render revision %d is from before gears; a rollout to %d or later brings them",
			e.plane.Spec.RenderRevision, controlplane.TuningRevision))
	}
	if status.Gear == nil && e.template != nil && e.template.Spec.Gears == nil {
		x.Notes = append(x.Notes, "its gear is not computed: template "+e.template.Name+" has no gears (spec.gears), so it keeps the template's size")
	}
	if e.plane != nil && e.plane.Status.Load == nil {
		x.Notes = append(x.Notes, "its load has not been sampled yet: its gear stays until the cell's agent has reported a load")
	}
	if e.box != nil {
		e.explainLoad(x, now)
	}
	return x
}

// explainHolds says what keeps a guest from shifting freely.
func (e gearEvidence) explainHolds(x *gearExplanation) {
	if e.box != nil && e.box.Spec.Frozen {
		x.Frozen = append(x.Frozen, "Gearbox "+e.box.Name+" (spec.frozen; 'myriad gears unfreeze')")
	}
	if e.cell != nil && e.cell.Spec.GearsFrozen {
		x.Frozen = append(x.Frozen, "cell "+e.cell.Name+" (spec.gearsFrozen; 'myriad gears unfreeze "+e.cell.Name+"')")
	}
	x.freezesKnown = e.box != nil && (e.cell != nil || e.cluster.Status.Cell == "")
	if e.box == nil || e.template == nil {
		if asked := e.cluster.Spec.Gears; asked != nil {
			x.Bounds, x.boundsKnown = *asked, true
		}
		return
	}
	x.boundsKnown = true
	bounds, problem := gear.Merge(e.box.Spec, e.cluster.Spec.Gears, e.template.Spec.Gears)
	if x.Bounds = bounds; problem != "" {
		x.Notes = append(x.Notes, problem)
	}
}

// explainLoad adds demand, capacity and outlook.
func (e gearEvidence) explainLoad(x *gearExplanation, now time.Time) {
	box := e.box.Spec
	x.rules = gear.WithDefaults(box.Shifting)
	if rung, ok := gear.Find(box, x.Size); ok {
		capacity := resources(gear.Capacity(rung))
		x.Capacity, x.Limits = &capacity, &rung.Limits
	} else if x.Size != "" && e.cluster.Status.Gear != nil {
		x.Notes = append(x.Notes, "gear "+x.Size+" is not on the ladder of Gearbox "+e.box.Name+"; see 'myriad gears ladder'")
	}
	if shown := e.cluster.Status.Gear; shown != nil && shown.Toward != "" && shown.TowardSince != nil {
		x.Toward = waitFor(box, x.Size, *shown, now)
	}
	if e.plane == nil || e.plane.Status.Load == nil {
		return
	}
	load := e.plane.Status.Load
	demand := gear.DemandOf(box, x.Availability, load)
	base, total := resources(demand.Base), resources(demand.Total)
	x.Base, x.Demand = &base, &total
	for _, term := range demand.Terms {
		x.Terms = append(x.Terms, gearTerm{
			Metric: term.Metric, Value: thousandths(term.Value), Share: thousandths(term.Share), Factor: factorOf(box, term.Metric), Amount: resources(term.Amount),
		})
	}
	x.Lacking, x.Missing = demand.Missing, union(demand.Missing, load.Missing)
	x.SampledAt = &load.SampledAt
	age := now.Sub(load.SampledAt.Time)
	x.AgeSeconds, x.Stale = int64(age.Seconds()), age >= time.Duration(x.rules.StaleSeconds)*time.Second
	guest := gear.Guest{Box: box, Bounds: x.Bounds, Availability: x.Availability, Size: x.Size, Load: load}
	x.Up, x.Down = step(gear.Upwards(guest)), step(gear.Downwards(guest))
}

// thousandths are as fine as a metric is measured.
func thousandths(x float64) float64 { return math.Round(1000*x) / 1000 }

// waitFor tells when the shift comes that the hub has said it waits for.
func waitFor(box v1alpha1.GearboxSpec, size string, shown v1alpha1.ClusterGear, now time.Time) *gearWait {
	names, rules := rungs(box), gear.WithDefaults(box.Shifting)
	delay := rules.UpDelaySeconds
	if slices.Index(names, shown.Toward) < slices.Index(names, size) {
		delay = rules.DownDelaySeconds
	}
	wait := &gearWait{Gear: shown.Toward, Since: *shown.TowardSince}
	if delay != nil {
		wait.DelaySeconds = int64(*delay)
	}
	left := shown.TowardSince.Add(time.Duration(wait.DelaySeconds) * time.Second).Sub(now)
	wait.InSeconds = max(0, int64(left.Seconds()))
	return wait
}

func factorOf(box v1alpha1.GearboxSpec, metric v1alpha1.LoadMetricName) v1alpha1.Resources {
	for _, factor := range box.Factors {
		if factor.Metric == metric {
			return v1alpha1.Resources{CPU: factor.CPU, Memory: factor.Memory}
		}
	}
	return v1alpha1.Resources{}
}

func step(outlook *gear.Outlook) *gearStep {
	if outlook == nil {
		return nil
	}
	shown := &gearStep{Gear: outlook.Gear, Percent: outlook.Percent, Now: outlook.Now, Lacks: outlook.Lacks}
	for _, edge := range outlook.Edges {
		shown.Edges = append(shown.Edges, gearEdge(edge))
	}
	return shown
}
