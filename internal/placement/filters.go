package placement

import (
	"fmt"
	"slices"
	"strings"

	"github.com/myriad-fleet/myriad/internal/residency"
)

// Reasons for which a cell is rejected.
const (
	ReasonOtherRegion        = "OtherRegion"        // the cell lies in another region
	ReasonResidencyNotMet    = "ResidencyNotMet"    // the guest's residency does not allow the region
	ReasonKindNotAccepted    = "KindNotAccepted"    // spec.kinds of the cell leaves the template's kind out
	ReasonNotReady           = "NotReady"           // the cell's agent does not renew its Lease
	ReasonRuntimeNotReady    = "RuntimeNotReady"    // the cell's runtime can run no control planes
	ReasonCordoned           = "Cordoned"           // an operator keeps new guests away
	ReasonVersionUnavailable = "VersionUnavailable" // the cell cannot run the version
	ReasonTooFewZones        = "TooFewZones"        // the guest needs more zones than the cell can offer now
	ReasonTooFarApart        = "TooFarApart"        // the cell's zones are too far from each other, as measured
	ReasonFull               = "Full"               // spec.maxGuests is reached
	ReasonTenantFull         = "TenantFull"         // spec.maxGuestsPerTenant is reached
	ReasonQuotaExceeded      = "QuotaExceeded"      // the tenant's quota of the region would be exceeded
	ReasonReserve            = "Reserve"            // no zones could take the guest and keep the reserve, before and after the loss of another zone
	ReasonPods               = "Pods"               // the same, of pods
	ReasonAddresses          = "Addresses"          // the same, of pods' addresses in the cell
	ReasonVolumes            = "Volumes"            // the same, of volumes
	ReasonInterfaces         = "Interfaces"         // the zones' nodes can attach no more interfaces to VPCs
	ReasonNoPlainPort        = "NoPlainPort"        // every plain port of the region's gateways is given away
)

// Filter keeps guests away from cells that cannot take them. Rejects is asked of every cell and says no more than
// yes or no; Explain is asked of those that it rejected, when somebody wants to know.
type Filter interface {
	// Rejects tells whether the cell cannot take the guest.
	Rejects(request *Request, cell *Cell) bool
	// Explain says why, in a word and in a sentence.
	Explain(request *Request, cell *Cell) (reason, message string)
}

// rule is a Filter with one reason.
type rule struct {
	reason  string
	rejects func(*Request, *Cell) bool
	message func(*Request, *Cell) string
}

func (f rule) Rejects(r *Request, c *Cell) bool             { return f.rejects(r, c) }
func (f rule) Explain(r *Request, c *Cell) (string, string) { return f.reason, f.message(r, c) }

// filters in the order in which a person would want to hear of them: the first that applies is
// the one that is reported.
var filters = []Filter{
	rule{ReasonOtherRegion, func(r *Request, c *Cell) bool { return r.Region != "" && c.Region.Region != r.Region },
		func(_ *Request, c *Cell) string { return "lies in region " + c.Region.Region }},
	rule{ReasonResidencyNotMet, func(r *Request, c *Cell) bool { return r.Residency != nil && residency.Violation(r.Residency, c.Region.Place) != "" },
		func(r *Request, c *Cell) string { return residency.Violation(r.Residency, c.Region.Place) }},
	rule{ReasonKindNotAccepted, func(r *Request, c *Cell) bool { return len(c.Kinds) > 0 && !slices.Contains(c.Kinds, r.Kind) },
		func(r *Request, c *Cell) string {
			return fmt.Sprintf("accepts %s only, not %s", strings.Join(c.Kinds, ", "), r.Kind)
		}},
	rule{ReasonNotReady, func(_ *Request, c *Cell) bool { return !c.Ready },
		func(*Request, *Cell) string { return "its agent does not report; see the Ready condition of the Cell" }},
	rule{ReasonRuntimeNotReady, func(_ *Request, c *Cell) bool { return c.RuntimeProblem != "" },
		func(_ *Request, c *Cell) string { return c.RuntimeProblem }},
	rule{ReasonCordoned, func(_ *Request, c *Cell) bool { return c.Cordoned },
		func(*Request, *Cell) string { return "an operator cordoned it (spec.cordoned)" }},
	rule{ReasonVersionUnavailable, func(r *Request, c *Cell) bool { return !slices.Contains(c.Versions, r.Version) }, versionMessage},
	rule{ReasonTooFewZones, func(r *Request, c *Cell) bool { return c.usable() < len(r.Demand) }, zonesMessage},
	rule{ReasonFull, func(_ *Request, c *Cell) bool { return c.MaxGuests > 0 && c.Guests >= c.MaxGuests },
		func(_ *Request, c *Cell) string {
			return fmt.Sprintf("holds %d guests, spec.maxGuests is %d", c.Guests, c.MaxGuests)
		}},
	rule{ReasonTenantFull, func(r *Request, c *Cell) bool { return c.MaxPerTenant > 0 && c.Tenants[r.Tenant] >= c.MaxPerTenant },
		func(r *Request, c *Cell) string {
			return fmt.Sprintf("holds %d guests of tenant %s, spec.maxGuestsPerTenant is %d", c.Tenants[r.Tenant], r.Tenant, c.MaxPerTenant)
		}},
	rule{ReasonQuotaExceeded, func(r *Request, c *Cell) bool { return len(c.Region.Quotas) > 0 && quotaProblem(r, c) != "" }, quotaProblem},
	regionFilter{},
	roomFilter{},
}

// versionMessage also tells of a cell that reports no version at all: its agent has not looked yet, and will in
// a moment.
func versionMessage(r *Request, c *Cell) string {
	if len(c.Versions) == 0 {
		return "its agent has not reported any version of Kubernetes yet"
	}
	return fmt.Sprintf("cannot run %s; it has %s", r.Version, strings.Join(c.Versions, ", "))
}

// usable zones of the cell: those that no drill holds.
func (c *Cell) usable() int {
	usable := 0
	for i := range c.Zones {
		if !c.Zones[i].Held {
			usable++
		}
	}
	return usable
}

func zonesMessage(r *Request, c *Cell) string {
	message := fmt.Sprintf("needs %d zones, the cell has %d with reported capacity", len(r.Demand), c.usable())
	var held []string
	for i := range c.Zones {
		if c.Zones[i].Held {
			held = append(held, c.Zones[i].Name)
		}
	}
	if len(held) > 0 {
		message += "; a drill holds " + strings.Join(held, ", ")
	}
	return message
}

// quotaProblem says which part of the tenant's quota of the region the guest would exceed; empty: none.
func quotaProblem(r *Request, c *Cell) string {
	quota, ok := c.Region.quota(r.Tenant)
	if !ok {
		return ""
	}
	used, more := c.Region.Used[r.Tenant], total(r.Demand)
	who := fmt.Sprintf("tenant %s has in region %s", r.Tenant, c.Region.Region)
	switch {
	case quota.Guests != nil && used.Guests+1 > int(*quota.Guests):
		return fmt.Sprintf("%s %d guests of a quota of %d (spec.quotas of the Region)", who, used.Guests, *quota.Guests)
	case quota.CPU != nil && used.MilliCPU+more.MilliCPU > quota.CPU.MilliValue():
		return fmt.Sprintf("%s %s, and would take %s more, of a quota of %s (spec.quotas of the Region)",
			who, amount(CPU, used.MilliCPU), amount(CPU, more.MilliCPU), quota.CPU)
	case quota.Memory != nil && used.Memory+more.Memory > quota.Memory.Value():
		return fmt.Sprintf("%s %s, and would take %s more, of a quota of %s (spec.quotas of the Region)",
			who, amount(Memory, used.Memory), amount(Memory, more.Memory), quota.Memory)
	}
	return ""
}

// regionFilter keeps guests out of regions of which the caller found out that they cannot lie there.
type regionFilter struct{}

func (regionFilter) Rejects(r *Request, c *Cell) bool {
	_, found := r.RegionProblems[c.Region.Region]
	return found
}

func (regionFilter) Explain(r *Request, c *Cell) (reason, message string) {
	problem := r.RegionProblems[c.Region.Region]
	return problem.Reason, problem.Message
}

// roomFilter keeps the reserve.
type roomFilter struct{}

func (roomFilter) Rejects(r *Request, c *Cell) bool {
	_, ok := findSpot(r, c, allChecks)
	return !ok
}
