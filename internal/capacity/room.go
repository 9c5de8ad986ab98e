package capacity

import (
	"math/rand/v2"

	"github.com/myriad-fleet/myriad/internal/placement"
)

// roomLimit ends counting: a cell of guests that take nothing would never be full.
const roomLimit = 100_000

// Room is how many more guests fit, and why no more.
type Room struct {
	// Guests that fit.
	Guests int `json:"guests"`
	// AtLeast so many: counting ended before anything was full.
	AtLeast bool `json:"atLeast,omitempty"`
	// Refused is the first guest that found no place; nil when none was refused.
	Refused *Refusal `json:"refused,omitempty"`
	// Binds is what is fullest by then, in words; for other reasons than the reserve, the reason.
	Binds string `json:"binds,omitempty"`
}

// Refusal is a guest that no cell takes.
type Refusal struct {
	// ID and Tenant of the guest; empty for one that was made up.
	ID     string `json:"id,omitempty"`
	Tenant string `json:"tenant,omitempty"`
	// Gear and Availability of the guest.
	Gear         string `json:"gear"`
	Availability string `json:"availability"`
	// Reason of the cell that came nearest to taking it, and the message.
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// mixer hands out guests of a mix without end: each of them once, in random order, and again. So a mix is kept
// even by few.
type mixer struct {
	random *rand.Rand
	mix    []Guest
	order  []int
	region string
	made   int
}

func newMixer(seed, stream uint64, region string, mix []Guest) *mixer {
	return &mixer{random: rand.New(rand.NewPCG(seed, stream)), mix: mix, region: region}
}

func (m *mixer) next() Guest {
	if len(m.order) == 0 {
		m.order = m.random.Perm(len(m.mix))
	}
	guest := m.mix[m.order[0]].like(m.made, m.region)
	m.order, m.made = m.order[1:], m.made+1
	return guest
}

// roomIn cells, in which the guests are taken.
func roomIn(cells []*placement.Cell, source *mixer) Room {
	room := Room{}
	if len(source.mix) == 0 {
		room.Binds = "there is no guest to take a mix from"
		return room
	}
	for room.Guests < roomLimit {
		guest := source.next()
		if _, decision := place(guest, cells); decision.Cell == "" {
			room.Refused = refusalOf(guest, decision)
			room.Binds = bindsIn(cells, room.Refused)
			return room
		}
		room.Guests++
	}
	room.AtLeast = true
	return room
}

// bindsIn cells: the fullest zone where the reserve refused a guest, and otherwise the reason.
func bindsIn(cells []*placement.Cell, refused *Refusal) string {
	if refused.Reason != placement.ReasonReserve {
		return refused.Reason + ": " + refused.Message
	}
	var levels []Level
	for _, cell := range cells {
		if level, found := Fullest(levelsOf(cell)); found {
			levels = append(levels, level)
		}
	}
	fullest, _ := Fullest(levels)
	return fullest.Text()
}

// refusalOf a guest, for the reason that most of the cells gave which could matter: that a cell lies elsewhere,
// accepts other kinds or may not hold the guest's data says nothing of its room.
func refusalOf(guest Guest, decision placement.Decision) *Refusal {
	refusal := &Refusal{
		Gear: guest.Gear, Availability: string(guest.Availability),
		Reason: "NoCells", Message: "there is no cell to place it in",
	}
	if guest.Cell != "" {
		refusal.ID, refusal.Tenant = guest.ID, guest.Tenant
	}
	counts := map[string]int{}
	for _, rejected := range decision.Rejected {
		counts[rejected.Reason]++
	}
	best := -1
	for _, rejected := range decision.Rejected {
		weight := counts[rejected.Reason]
		if rejected.Reason == placement.ReasonReserve {
			weight += len(decision.Rejected)
		}
		switch rejected.Reason {
		case placement.ReasonOtherRegion, placement.ReasonKindNotAccepted, placement.ReasonResidencyNotMet:
			weight = 0
		}
		if weight > best {
			best, refusal.Reason, refusal.Message = weight, rejected.Reason, rejected.Message
		}
	}
	return refusal
}
