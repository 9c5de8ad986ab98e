package runtime

import "time"

// Usage is what one component uses.
type Usage struct {
	// CPUSeconds that its process or container has taken since it started.
	CPUSeconds float64 `json:"cpuSeconds"`
	// Memory in bytes: the resident set of a process, the working set of a container.
	Memory int64 `json:"memory"`
	// Start tells apart one process or container from the next, whose CPUSeconds begin anew.
	Start string `json:"start"`
	// At is when it was so; zero: when it was asked for.
	At time.Time `json:"at"`
}
