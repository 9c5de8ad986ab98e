// Package resolve turns what a Cluster asks for into what its order will hold, or says what does
// not exist and what does. It is pure.
package resolve

import (
	"fmt"
	"slices"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/suggest"
)

// Catalogue is what the fleet offers.
type Catalogue struct {
	Regions   []v1alpha1.Region
	Templates []v1alpha1.ClusterTemplate
	Releases  []v1alpha1.Release
	// Gearbox in force; nil: none.
	Gearbox *v1alpha1.GearboxSpec
}

// Resolved is what a Cluster asks for with every default filled in.
type Resolved struct {
	Region       v1alpha1.Region
	Kind         string
	Version      string
	EtcdVersion  string
	Images       map[string]string
	Availability v1alpha1.Availability
	Network      v1alpha1.ClusterNetwork
	Size         v1alpha1.ControlPlaneSize
	// Tuning and EtcdQuotaBytes of a guest whose gear is computed; none of others.
	Tuning         *v1alpha1.ControlPlaneTuning
	EtcdQuotaBytes int64
}

// Problem says why a Cluster cannot be resolved, in the words of a condition.
type Problem struct {
	Reason  string
	Message string
}

// Cluster resolves what a Cluster asks for. The problem is nil when all of it exists. One that leaves the region
// to placement has none yet.
func Cluster(spec v1alpha1.ClusterSpec, catalogue Catalogue) (Resolved, *Problem) {
	region, ok := find(catalogue.Regions, spec.Region, regionName)
	if !ok && spec.Region != "" {
		return Resolved{}, &Problem{Reason: v1alpha1.ReasonRegionNotFound, Message: suggest.NotFound("region", spec.Region, names(catalogue.Regions, regionName))}
	}
	template, ok := find(catalogue.Templates, spec.Template, templateName)
	if !ok {
		return Resolved{}, &Problem{Reason: v1alpha1.ReasonTemplateNotFound, Message: suggest.NotFound("template", spec.Template, names(catalogue.Templates, templateName))}
	}
	version := spec.Version
	if version == "" {
		version = template.Spec.Version
	}
	release, ok := find(catalogue.Releases, version, releaseName)
	if !ok {
		return Resolved{}, &Problem{Reason: v1alpha1.ReasonVersionNotFound, Message: suggest.NotFound("version", version, names(catalogue.Releases, releaseName))}
	}
	resolved := Resolved{
		Region:       region,
		Kind:         template.Spec.Kind,
		Version:      release.Name,
		EtcdVersion:  release.Spec.EtcdVersion,
		Images:       release.Spec.Images,
		Availability: template.Spec.Availability,
		Network:      template.Spec.Network,
		Size:         template.Spec.Size,
	}
	if spec.Availability != "" {
		resolved.Availability = spec.Availability
	}
	if spec.Network != nil {
		resolved.Network = *spec.Network
	}
	return resolved.inGear(spec, template, catalogue.Gearbox)
}

// inGear gives a new guest the gear that it begins in, if its template lets gears be computed.
func (r Resolved) inGear(spec v1alpha1.ClusterSpec, template v1alpha1.ClusterTemplate, box *v1alpha1.GearboxSpec) (Resolved, *Problem) {
	if template.Spec.Gears == nil && spec.Gears != nil {
		return Resolved{}, &Problem{
			Reason:  v1alpha1.ReasonGearNotFound,
			Message: fmt.Sprintf("template %s has no gears, its guests all have one size: leave spec.gears out, or choose a template that has gears", template.Name),
		}
	}
	if template.Spec.Gears == nil || box == nil {
		return r, nil
	}
	bounds, problem := gear.Merge(*box, spec.Gears, template.Spec.Gears)
	if problem != "" {
		return Resolved{}, &Problem{Reason: v1alpha1.ReasonGearNotFound, Message: problem}
	}
	if initial, ok := gear.Initial(*box, bounds); ok {
		r.Size, r.Tuning, r.EtcdQuotaBytes = gear.Size(initial), gear.Tuning(initial), gear.EtcdQuotaBytes(*box, bounds)
	}
	return r, nil
}

func regionName(r v1alpha1.Region) string            { return r.Name }
func templateName(t v1alpha1.ClusterTemplate) string { return t.Name }
func releaseName(r v1alpha1.Release) string          { return r.Name }

func find[T any](all []T, name string, nameOf func(T) string) (T, bool) {
	i := slices.IndexFunc(all, func(item T) bool { return nameOf(item) == name })
	if i < 0 {
		var none T
		return none, false
	}
	return all[i], true
}

func names[T any](all []T, nameOf func(T) string) []string {
	list := make([]string, len(all))
	for i, item := range all {
		list[i] = nameOf(item)
	}
	return list
}
