// Package figures holds what benchmarks measure, and prints it.
package figures

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/google/renameio/v2"
)

// Result is one figure of a benchmark.
type Result struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Reference is the same figure by hand (in placement the bound that nothing can exceed), Ratio is Value / Reference,
	// Budget bounds Ratio, or Value where there is no Ratio, from above (densities and rates from below), Met says whether it does. They are null for what is only reported.
	Reference *float64 `json:"reference"`
	Ratio     *float64 `json:"ratio"`
	Budget    *float64 `json:"budget"`
	Met       *bool    `json:"met"`
}

// Compare makes a result with a reference and a budget.
func Compare(name, unit string, value, reference, budget float64) Result {
	ratio := value / reference
	met := ratio <= budget
	return Result{Name: name, Value: value, Unit: unit, Reference: &reference, Ratio: &ratio, Budget: &budget, Met: &met}
}

// Beside makes a result with a reference and without a budget.
func Beside(name, unit string, value, reference float64) Result {
	ratio := value / reference
	return Result{Name: name, Value: value, Unit: unit, Reference: &reference, Ratio: &ratio}
}

// Bound makes a result whose budget is absolute.
func Bound(name, unit string, value, budget float64) Result {
	met := value <= budget
	return Result{Name: name, Value: value, Unit: unit, Budget: &budget, Met: &met}
}

// Floor makes a result that must be an absolute budget or more.
func Floor(name, unit string, value, budget float64) Result {
	met := value >= budget
	return Result{Name: name, Value: value, Unit: unit, Budget: &budget, Met: &met}
}

// AtLeast makes a result with a reference, of which it must be that share or more.
func AtLeast(name, unit string, value, reference, budget float64) Result {
	ratio := value / reference
	met := ratio >= budget
	return Result{Name: name, Value: value, Unit: unit, Reference: &reference, Ratio: &ratio, Budget: &budget, Met: &met}
}

// Report makes a result that is only reported.
func Report(name, unit string, value float64) Result {
	return Result{Name: name, Value: value, Unit: unit}
}

// Missed counts the budgets that are not met.
func Missed(results []Result) int {
	missed := 0
	for _, result := range results {
		if result.Met != nil && !*result.Met {
			missed++
		}
	}
	return missed
}

// PrintTable of a benchmark.
func PrintTable(out io.Writer, name string, results []Result) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\n%s\tfleet\treference\tunit\tratio\tbudget\tmet\n", name)
	for _, r := range results {
		met := "-"
		if r.Met != nil {
			met = map[bool]string{true: "yes", false: "NO"}[*r.Met]
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, number(&r.Value), number(r.Reference), r.Unit, number(r.Ratio), number(r.Budget), met)
	}
	return table.Flush()
}

func number(value *float64) string {
	if value == nil {
		return "-"
	}
	return strconv.FormatFloat(*value, 'f', 2, 64)
}

// WriteJSON writes the results to a file, and its directory if need be.
func WriteJSON(path string, results []Result) error {
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if err := renameio.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// Median of values; there must be one.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Mean of values; there must be one.
func Mean(values []float64) float64 {
	var sum float64
	for _, value := range values {
		sum += value
	}
	return sum / float64(len(values))
}
