package roundtrip

import "slices"

// perPair is how many guests are asked about each pair of zones: one of them may be ill.
const perPair = 3

// Candidate is a guest whose etcd has members in several zones.
type Candidate struct {
	// ID of the guest.
	ID string
	// Zones of its members.
	Zones []string
}

// Choose returns the guests to ask in this round: for each pair of zones at most three. Those that were
// asked before and answered are asked again, for only the second page of a member tells anything;
// those that did not answer come last.
func Choose(zones []string, candidates []Candidate, answered map[string]bool) []Candidate {
	ordered := slices.Clone(candidates)
	slices.SortStableFunc(ordered, func(a, b Candidate) int { return rank(answered, a.ID) - rank(answered, b.ID) })
	asked := map[Pair]int{}
	var chosen []Candidate
	for _, candidate := range ordered {
		needed := false
		for _, pair := range covered(zones, candidate) {
			needed = needed || asked[pair] < perPair
		}
		if !needed {
			continue
		}
		chosen = append(chosen, candidate)
		for _, pair := range covered(zones, candidate) {
			asked[pair]++
		}
	}
	return chosen
}

// rank of a guest: those that answered last time, those that were not asked, those that did not answer.
func rank(answered map[string]bool, id string) int {
	did, asked := answered[id]
	switch {
	case did:
		return 0
	case !asked:
		return 1
	default:
		return 2
	}
}

func covered(zones []string, candidate Candidate) []Pair {
	return slices.DeleteFunc(Pairs(zones), func(p Pair) bool {
		return !slices.Contains(candidate.Zones, p.A) || !slices.Contains(candidate.Zones, p.B)
	})
}
