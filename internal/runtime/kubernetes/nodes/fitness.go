package nodes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// MinimalVersion of a cell's Kubernetes: from this one on the pods' resize subresource is there by
// default (beta since v1.33, https://kep.k8s.io/1287), by which a guest gets more CPU and memory
// without a restart. Everything else that Myriad uses is older.
const MinimalVersion = "v1.33.0"

// zonesOfZonal is how many zones a Zonal guest needs.
const zonesOfZonal = 3

// Facts about a cell, as found by asking its API server.
type Facts struct {
	// Away is why the cell's API server does not answer; empty when it does. Nothing else need be
	// known then.
	Away string
	// Version of the API server, for example v1.36.3.
	Version string
	// Zones of the Cell (spec.zones).
	Zones []string
	// NodeZones are the zones that the cell's nodes are labelled with, of all nodes, those that are
	// not ready included: a zone that is lost for a while leaves the cell fit for the others.
	NodeZones []string
	// StorageClass that etcd's volumes are to be made of; empty for the cell's default class.
	StorageClass string
	// StorageClasses of the cell.
	StorageClasses []StorageClass
	// PodResize is true when the API server has the subresource pods/resize.
	PodResize bool
	// Refused holds what the agent may not do or was refused when it tried without effect (dry run),
	// each with the API server's own words, for example: create pods in myriad-system: admission
	// webhook "policy.example.com" denied the request: no.
	Refused []string
}

// StorageClass is what matters of one.
type StorageClass struct {
	// Name of the class.
	Name string
	// Default is true for the class that a claim gets which names none.
	Default bool
	// Waits is true when a volume is made only where its pod is to run (WaitForFirstConsumer).
	Waits bool
}

// Fitness is the condition RuntimeReady that follows from the facts, without the time of its
// transition. Its reason is the first that applies; its message says all that is wrong, and what to
// do.
func Fitness(facts Facts) metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionRuntimeReady, Status: metav1.ConditionFalse}
	if facts.Away != "" {
		condition.Reason = v1alpha1.ReasonCellAPIAway
		condition.Message = fmt.Sprintf("the cell's API server does not answer; guests run on, and nothing is changed until it does: %s", facts.Away)
		return condition
	}
	var messages []string
	for _, check := range []func(Facts) (reason, message string){tooOld, refused, noStorageClass, tooFewZones} {
		reason, message := check(facts)
		if reason == "" {
			continue
		}
		if condition.Reason == "" {
			condition.Reason = reason
		}
		messages = append(messages, message)
	}
	if len(messages) == 0 {
		condition.Status, condition.Reason = metav1.ConditionTrue, v1alpha1.ReasonRuntimeReady
		messages = append([]string{"control planes can be run here"}, notes(facts)...)
	}
	condition.Message = strings.Join(messages, "; ")
	return condition
}

func tooOld(facts Facts) (reason, message string) {
	version, err := semver.NewVersion(facts.Version)
	if err != nil {
		return v1alpha1.ReasonVersionTooOld, fmt.Sprintf("the cell's Kubernetes says it is %q, which is no version: Myriad needs %s or newer", facts.Version, MinimalVersion)
	}
	// A pre-release or a vendor's suffix is as new as its number.
	number := semver.New(version.Major(), version.Minor(), version.Patch(), "", "")
	if !number.LessThan(semver.MustParse(MinimalVersion)) {
		return "", ""
	}
	return v1alpha1.ReasonVersionTooOld, fmt.Sprintf("the cell's Kubernetes is %s: upgrade it to %s or newer, the first that resizes pods in place (pods/resize)",
		facts.Version, MinimalVersion)
}

func refused(facts Facts) (reason, message string) {
	if len(facts.Refused) == 0 {
		return "", ""
	}
	return v1alpha1.ReasonRightsMissing, fmt.Sprintf(
		"the cell refuses what the agent must do: %s; give the agent the rights that docs/security.md lists, and have admission webhooks leave namespaces labelled app.kubernetes.io/managed-by=myriad alone",
		strings.Join(facts.Refused, ", "))
}

func noStorageClass(facts Facts) (reason, message string) {
	names := make([]string, len(facts.StorageClasses))
	for i, class := range facts.StorageClasses {
		names[i] = class.Name
	}
	slices.Sort(names)
	has := "the cell has none"
	if len(names) > 0 {
		has = "the cell has " + strings.Join(names, ", ")
	}
	_, found := facts.class()
	switch {
	case found:
		return "", ""
	case facts.StorageClass != "":
		return v1alpha1.ReasonNoStorageClass, fmt.Sprintf("there is no StorageClass %s to make etcd's volumes of (%s): create it, or name another to the agent", facts.StorageClass, has)
	case len(names) == 0:
		return v1alpha1.ReasonNoStorageClass, "there is no StorageClass to make etcd's volumes of: install a volume provisioner and its StorageClass"
	default:
		return v1alpha1.ReasonNoStorageClass, fmt.Sprintf("no StorageClass is the default (%s): name one to the agent, or annotate one with storageclass.kubernetes.io/is-default-class=true", has)
	}
}

// class that etcd's volumes are made of.
func (f Facts) class() (StorageClass, bool) {
	i := slices.IndexFunc(f.StorageClasses, func(c StorageClass) bool {
		return c.Name == f.StorageClass || f.StorageClass == "" && c.Default
	})
	if i < 0 {
		return StorageClass{}, false
	}
	return f.StorageClasses[i], true
}

func tooFewZones(facts Facts) (reason, message string) {
	missing := slices.DeleteFunc(slices.Clone(facts.Zones), func(zone string) bool { return slices.Contains(facts.NodeZones, zone) })
	if len(missing) == 0 {
		return "", ""
	}
	has := "no node has the label"
	if found := slices.Compact(slices.Sorted(slices.Values(facts.NodeZones))); len(found) > 0 {
		has = "nodes lie in " + strings.Join(found, ", ")
	}
	return v1alpha1.ReasonTooFewZones, fmt.Sprintf(
		"no node lies in zone %s of the Cell (%s): add nodes labelled topology.kubernetes.io/zone there, or take the zone out of the Cell's spec.zones",
		strings.Join(missing, ", "), has)
}

// notes are what an operator should know of a cell that is fit.
func notes(facts Facts) []string {
	var notes []string
	if n := len(facts.Zones); n < zonesOfZonal {
		notes = append(notes, fmt.Sprintf("Single guests only: Zonal ones need %d zones, the Cell has %d", zonesOfZonal, n))
	}
	if !facts.PodResize {
		notes = append(notes, "the API server lacks pods/resize (feature gate InPlacePodVerticalScaling): a change of size restarts components, one zone after the other")
	}
	if class, _ := facts.class(); !class.Waits && len(facts.Zones) > 1 {
		notes = append(notes, fmt.Sprintf("StorageClass %s makes volumes before their pod has a node, so that they may lie in another zone: use one with volumeBindingMode WaitForFirstConsumer", class.Name))
	}
	return notes
}
