package main

// The budgets of docs/benchmarks.md: the most that a figure of the fleet may be, as a multiple of the
// same by hand.
const (
	budgetCreate   = 1.25 // create to ready, one guest
	budgetBurstAll = 1.1  // many at once, until all are ready
	budgetBurstP50 = 0.6  // many at once, median: they start in turn instead of all together
	budgetMemory   = 1.05 // PSS of an idle guest
)

// The budgets of the lab that are absolute.
const (
	budgetRestarts = 0  // of containers while many guests start at once
	budgetReadyLag = 1  // seconds from being ready until the hub says so
	budgetDelete   = 10 // seconds from 'myriad cluster delete' until nothing is left
)
