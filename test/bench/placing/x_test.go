package placing
import ("testing";"fmt")
func TestX(t *testing.T) {
	for seed := uint64(1); seed <= 3; seed++ {
		reqs, err := Arrivals(seed)
		if err != nil { t.Fatal(err) }
		var cpu, mem float64
		for _, r := range reqs { for _, d := range r.Demand { cpu += float64(d.MilliCPU)/1000; mem += float64(d.Memory)/gibibyte } }
		fmt.Println("demand", len(reqs), cpu, mem, mem/cpu, "per zone cores", cpu/120/.6)
		for _, p := range append([]Policy{Choose(), Place()}, Baselines()...) {
			run, err := Fill(p, reqs)
			fmt.Printf("%-24s %v first=%d refused=%d %s %.4f after %.1f share %.1f err=%v\n", p.Name, run.Took, run.First, run.Refused, run.Density.Thing, run.Density.Share(), run.AfterLoss, run.LargestShare, err)
		}
	}
}
