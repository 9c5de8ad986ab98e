// Package resolve turns what a Cluster asks for into what its order will hold, or says what does
// not exist and what does. It is pure.
package resolve

import (
	"slices"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/suggest"
)

// Catalogue is what the fleet offers.
type Catalogue struct {
	Regions   []v1alpha1.Region
	Templates []v1alpha1.ClusterTemplate
	Releases  []v1alpha1.Release
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
}

// Problem says why a Cluster cannot be resolved, in the words of a condition.
type Problem struct {
	Reason  string
	Message string
}

// Cluster resolves what a Cluster asks for. The problem is nil when all of it exists.
func Cluster(spec v1alpha1.ClusterSpec, catalogue Catalogue) (Resolved, *Problem) {
	region, ok := find(catalogue.Regions, spec.Region, regionName)
	if !ok {
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
	return resolved, nil
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
