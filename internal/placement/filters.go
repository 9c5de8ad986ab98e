package placement

import (
	"fmt"
	"slices"
	"strings"
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
	ReasonFull               = "Full"               // spec.maxGuests is reached
	ReasonReserve            = "Reserve"            // no zones could take the guest and keep the reserve, before and after the loss of another zone
	ReasonNoPlainPort        = "NoPlainPort"        // every plain port of the region's gateways is given away
)

// filter tells whether and why a cell cannot take a guest.
type filter func(Request, *Cell) (reason, message string, rejected bool)

// filters in the order in which a person would want to hear of them: the first that applies is
// the one that is reported.
var filters = []filter{
	otherRegion,
	kindNotAccepted,
	notReady,
	runtimeNotReady,
	cordoned,
	versionUnavailable,
	tooFewZones,
	full,
	regionProblem,
	reserveBroken,
}

func rejection(request Request, cell *Cell) (reason, message string, rejected bool) {
	for _, filter := range filters {
		if reason, message, rejected := filter(request, cell); rejected {
			return reason, message, true
		}
	}
	return "", "", false
}

func otherRegion(request Request, cell *Cell) (string, string, bool) {
	return ReasonOtherRegion, fmt.Sprintf("lies in region %s", cell.Region.Region), request.Region != "" && cell.Region.Region != request.Region
}

func kindNotAccepted(request Request, cell *Cell) (string, string, bool) {
	return ReasonKindNotAccepted, fmt.Sprintf("accepts %s only, not %s", strings.Join(cell.Kinds, ", "), request.Kind),
		len(cell.Kinds) > 0 && !slices.Contains(cell.Kinds, request.Kind)
}

func notReady(_ Request, cell *Cell) (string, string, bool) {
	return ReasonNotReady, "its agent does not report; see the Ready condition of the Cell", !cell.Ready
}

func runtimeNotReady(_ Request, cell *Cell) (string, string, bool) {
	return ReasonRuntimeNotReady, cell.RuntimeProblem, cell.RuntimeProblem != ""
}

func cordoned(_ Request, cell *Cell) (string, string, bool) {
	return ReasonCordoned, "an operator cordoned it (spec.cordoned)", cell.Cordoned
}

// versionUnavailable also rejects a cell that reports no version at all: its agent has not looked
// yet, and will in a moment.
func versionUnavailable(request Request, cell *Cell) (string, string, bool) {
	message := fmt.Sprintf("cannot run %s; it has %s", request.Version, strings.Join(cell.Versions, ", "))
	if len(cell.Versions) == 0 {
		message = "its agent has not reported any version of Kubernetes yet"
	}
	return ReasonVersionUnavailable, message, !slices.Contains(cell.Versions, request.Version)
}

func tooFewZones(request Request, cell *Cell) (string, string, bool) {
	usable, held := 0, []string{}
	for name, zone := range cell.Zones {
		if zone.Held {
			held = append(held, name)
			continue
		}
		usable++
	}
	message := fmt.Sprintf("needs %d zones, the cell has %d with reported capacity", len(request.Demand), usable)
	if len(held) > 0 {
		slices.Sort(held)
		message += fmt.Sprintf("; a drill holds %s", strings.Join(held, ", "))
	}
	return ReasonTooFewZones, message, usable < len(request.Demand)
}

func full(_ Request, cell *Cell) (string, string, bool) {
	return ReasonFull, fmt.Sprintf("holds %d guests, spec.maxGuests is %d", cell.Guests, cell.MaxGuests),
		cell.MaxGuests > 0 && cell.Guests >= cell.MaxGuests
}

func regionProblem(request Request, cell *Cell) (string, string, bool) {
	problem, found := request.RegionProblems[cell.Region.Region]
	return problem.Reason, problem.Message, found
}

func reserveBroken(request Request, cell *Cell) (string, string, bool) {
	_, _, ok := chooseZones(request.Demand, cell)
	if ok {
		return "", "", false
	}
	return ReasonReserve, fmt.Sprintf("no zones could take the guest and keep %d %% free, and %d %% after the loss of any other zone: %s",
		cell.ReservePercent, reserveAfterLossPercent, usage(cell)), true
}
