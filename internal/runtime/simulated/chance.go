package simulated

import (
	"hash/fnv"
	"math"
)

// What is drawn for: a word of each key, so that draws for one thing tell nothing of those for another.
const (
	ofStart uint64 = iota + 1
	ofDeath
	ofExit
	ofClass
	ofNodes
	ofPhase
	ofSwing
	ofGrowth
	ofAddress
)

// chance is a number that follows from its keys alone and looks random.
func chance(keys ...uint64) uint64 {
	x := uint64(0)
	for _, key := range keys {
		x = mix(x ^ key)
	}
	return x
}

// mix is the output function of SplitMix64 (Steele, Lea and Flood, 2014): every bit of x changes about half of the result's.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// word of a key that is a text.
func word(text string) uint64 {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(text)) // never fails
	return hash.Sum64()
}

// uniform is a share above 0 and below 1.
func uniform(keys ...uint64) float64 {
	return (float64(chance(keys...)>>11) + 0.5) / (1 << 53)
}

// z99 is the 99th percentile of the standard normal distribution.
const z99 = 2.3263478740408408

// logNormal draws by median and p99.
func logNormal(median, p99 float64, keys ...uint64) float64 {
	z := math.Sqrt2 * math.Erfinv(2*uniform(keys...)-1)
	return median * math.Exp(math.Log(p99/median)/z99*z)
}

// exponential draws the time to the next of events that come by chance at so many per unit of time.
func exponential(rate float64, keys ...uint64) float64 { return -math.Log(uniform(keys...)) / rate }
