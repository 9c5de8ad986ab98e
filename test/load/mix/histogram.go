package mix

import (
	"math"
	"time"
)

const (
	// finest latency that a histogram tells from none.
	finest = 100 * time.Microsecond
	// growth of one bucket to the next: quantiles are right within 5 %.
	growth = 1.05
	// buckets reach from 0.1 ms to two minutes, twice the patience with one request.
	buckets = 288
)

// histogram of latencies, in bounded memory however long a run takes.
type histogram struct {
	counts [buckets]int
	count  int
	most   time.Duration
}

func (h *histogram) add(latency time.Duration) {
	bucket := 0
	if latency > finest {
		bucket = int(math.Ceil(math.Log(float64(latency)/float64(finest)) / math.Log(growth)))
	}
	h.counts[min(bucket, buckets-1)]++
	h.count++
	h.most = max(h.most, latency)
}

// quantile is the latency that a part of all, 0 to 1, do not exceed; 0 of none.
func (h *histogram) quantile(part float64) time.Duration {
	rank := int(math.Ceil(part * float64(h.count)))
	seen := 0
	for bucket, count := range h.counts {
		seen += count
		if count > 0 && seen >= rank {
			return min(h.most, time.Duration(float64(finest)*math.Pow(growth, float64(bucket))))
		}
	}
	return 0
}
