package placement

import (
	"fmt"
	"slices"
	"strings"
)

// Reasons for which a cell is rejected.
const (
	ReasonOtherRegion        = "OtherRegion"        // the cell lies in another region
	ReasonResidencyNotMet    = "ResidencyNotMet"    // the cell's region does not meet the guest's residency
	ReasonNoPlainPort        = "NoPlainPort"        // every plain port of the region's gateways is given away
	ReasonKindNotAccepted    = "KindNotAccepted"    // spec.kinds of the cell leaves the template's kind out
	ReasonNotReady           = "NotReady"           // the cell's agent does not renew its Lease
	ReasonRuntimeNotReady    = "RuntimeNotReady"    // the cell's runtime can run no control planes
	ReasonCordoned           = "Cordoned"           // an operator keeps new guests away
	ReasonVersionUnavailable = "VersionUnavailable" // the cell cannot run the version
	ReasonQuotaExceeded      = "QuotaExceeded"      // the tenant has in the region what it may have
	ReasonFull               = "Full"               // spec.maxGuests is reached
	ReasonTenantFull         = "TenantFull"         // spec.maxGuestsPerTenant is reached
	ReasonTooFewZones        = "TooFewZones"        // the guest needs more zones than the cell can offer now
	ReasonTooFarApart        = "TooFarApart"        // no zones, as many as the guest needs, are near each other
	ReasonInterfaces         = "Interfaces"         // no zones have interfaces left for the guest's VPC
	ReasonReserve            = "Reserve"            // no zones could take the guest and keep the reserve, before and after the loss of another zone
)

// filter is a Filter made of a function.
type filter struct {
	name   string
	reject func(*Candidate) (reason, message string)
}

// Name of the filter.
func (f filter) Name() string { return f.name }

// Reject says why the cell cannot take the guest.
func (f filter) Reject(candidate *Candidate) (reason, message string) { return f.reject(candidate) }

func otherRegion(c *Candidate) (reason, message string) {
	lies := ""
	if c.Cell.Region != nil {
		lies = c.Cell.Region.Region
	}
	if c.Request.Region == "" || c.Request.Region == lies {
		return "", ""
	}
	return ReasonOtherRegion, "lies in region " + lies + ", the guest asks for " + c.Request.Region
}

func residencyNotMet(c *Candidate) (reason, message string) {
	if c.region.violation == "" {
		return "", ""
	}
	return ReasonResidencyNotMet, c.region.violation
}

func regionProblem(c *Candidate) (reason, message string) {
	return c.region.problem.Reason, c.region.problem.Message
}

func kindNotAccepted(c *Candidate) (reason, message string) {
	if len(c.Cell.Kinds) == 0 || slices.Contains(c.Cell.Kinds, c.Request.Kind) {
		return "", ""
	}
	return ReasonKindNotAccepted, "accepts " + strings.Join(c.Cell.Kinds, ", ") + " only (spec.kinds), not " + c.Request.Kind
}

func notReady(c *Candidate) (reason, message string) {
	if c.Cell.Ready {
		return "", ""
	}
	return ReasonNotReady, "its agent does not report; see the Ready condition of the Cell"
}

func runtimeNotReady(c *Candidate) (reason, message string) {
	if c.Cell.RuntimeProblem == "" {
		return "", ""
	}
	return ReasonRuntimeNotReady, c.Cell.RuntimeProblem
}

func cordoned(c *Candidate) (reason, message string) {
	if !c.Cell.Cordoned {
		return "", ""
	}
	return ReasonCordoned, "an operator cordoned it (spec.cordoned)"
}

// versionUnavailable also rejects a cell that reports no version at all: its agent has not looked
// yet, and will in a moment.
func versionUnavailable(c *Candidate) (reason, message string) {
	if slices.Contains(c.Cell.Versions, c.Request.Version) {
		return "", ""
	}
	if len(c.Cell.Versions) == 0 {
		return ReasonVersionUnavailable, "its agent has not reported any version of Kubernetes yet"
	}
	return ReasonVersionUnavailable, "cannot run " + c.Request.Version + "; it has " + strings.Join(c.Cell.Versions, ", ")
}

func quotaExceeded(c *Candidate) (reason, message string) {
	if c.region.quota == "" {
		return "", ""
	}
	return ReasonQuotaExceeded, c.region.quota
}

func full(c *Candidate) (reason, message string) {
	if c.Cell.MaxGuests <= 0 || c.Cell.Guests < c.Cell.MaxGuests {
		return "", ""
	}
	return ReasonFull, fmt.Sprintf("holds %d guests, spec.maxGuests is %d: raise it or add a cell", c.Cell.Guests, c.Cell.MaxGuests)
}

func tenantFull(c *Candidate) (reason, message string) {
	if c.Cell.MaxGuestsPerTenant <= 0 || c.TenantGuests < c.Cell.MaxGuestsPerTenant {
		return "", ""
	}
	return ReasonTenantFull, fmt.Sprintf("holds %d guests of tenant %s, spec.maxGuestsPerTenant is %d: raise it or add a cell",
		c.TenantGuests, c.Request.Tenant, c.Cell.MaxGuestsPerTenant)
}
