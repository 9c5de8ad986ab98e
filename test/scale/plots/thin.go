package plots

// thin samples to at most so many, of two and more, for a chart cannot show more points than pixels. The first stays
// as it is. Each of the others stands for samples in a row, and ends when the last of them does: it has that one's
// counts, the cores of a part on average over all their time, and the most MiB that a part took meanwhile.
func thin(samples []Sample, most int) []Sample {
	if len(samples) <= most {
		return samples
	}
	rest := samples[1:]
	thinned := []Sample{samples[0]}
	for i := range most - 1 {
		from, to := i*len(rest)/(most-1), (i+1)*len(rest)/(most-1)
		thinned = append(thinned, merge(thinned[i].At, rest[from:to]))
	}
	return thinned
}

// merge samples in a row into one, of the time since the one before them.
func merge(since float64, samples []Sample) Sample {
	merged := samples[len(samples)-1]
	merged.Cores, merged.MiB = map[string]float64{}, map[string]float64{}
	begin := since
	for _, sample := range samples {
		for part, cores := range sample.Cores {
			merged.Cores[part] += cores * (sample.At - begin)
		}
		for part, size := range sample.MiB {
			merged.MiB[part] = max(merged.MiB[part], size)
		}
		begin = sample.At
	}
	if took := merged.At - since; took > 0 {
		for part := range merged.Cores {
			merged.Cores[part] /= took
		}
	}
	return merged
}
