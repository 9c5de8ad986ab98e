package process

import (
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// capacity divides the host's cores and memory equally over the zones.
func (s *Supervisor) capacity() (runtime.Capacity, error) {
	zones := int64(len(s.options.Zones))
	if zones == 0 {
		return nil, errors.New("this supervisor has no zones to divide the host over")
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return nil, fmt.Errorf("reading the host's memory: %w", err)
	}
	memory := int64(info.Totalram) * int64(info.Unit)
	var all runtime.Capacity
	for _, zone := range s.options.Zones {
		all = append(all, v1alpha1.ZoneCapacity{
			Name:   zone,
			CPU:    *resource.NewMilliQuantity(int64(goruntime.NumCPU())*1000/zones, resource.DecimalSI),
			Memory: *resource.NewQuantity(memory/zones, resource.BinarySI),
		})
	}
	return all, nil
}

// inotifyPerGuest is how many inotify instances one Single guest holds, as measured: kube-apiserver
// 7, the others 11 in all.
const inotifyPerGuest = 18

// inotifyLimitFile tells how many inotify instances one user may have.
const inotifyLimitFile = "/proc/sys/fs/inotify/max_user_instances"

// warnInotify says once that the guests need more inotify instances than the user may have. A host
// that does not tell its limit is not warned of.
func (s *Supervisor) warnInotify(limitFile string) {
	raw, err := os.ReadFile(limitFile)
	if err != nil {
		return
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return
	}
	s.mu.Lock()
	needed, warned := len(s.guests)*inotifyPerGuest, s.warned
	s.warned = warned || needed > limit
	s.mu.Unlock()
	if needed > limit && !warned {
		s.log.Warn("more inotify instances are needed than this user may have: some components read renewed certificates only once a minute; raise the limit with sysctl",
			"guests", needed/inotifyPerGuest, "needed", needed, "limit", limit,
			"command", "sysctl -w fs.inotify.max_user_instances="+strconv.Itoa(max(1024, 2*needed)))
	}
}
