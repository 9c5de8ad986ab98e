package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// replaceBudget is from the loss of a member's data until the group is whole again.
const replaceBudget = 3 * time.Minute

// TestMemberReplaced destroys the data of one member of a Zonal guest's etcd after the other, under load.
// Each is replaced by an empty one that catches up; nothing that was acknowledged is lost.
func TestMemberReplaced(t *testing.T) {
	g := sharedFleet(t).create(t, "phoenix", "--region", "eu-frankfurt", "--availability", "zonal")
	g.etcdWhole(t)
	run := g.load(t, 402)
	quiet(t, run)
	cases := []struct {
		name, member string
		// dies: the process goes with its data. Otherwise it runs on, with files that have no name any more.
		dies bool
	}{
		{"the process dies with its data", "etcd-a", true},
		{"the data vanishes under the process", "etcd-b", false},
	}
	for _, tc := range cases {
		before, member := g.instances(t), g.memberID(t, tc.member)
		run.Mark(tc.name)
		started := time.Now()
		g.destroy(t, tc.member)
		if tc.dies {
			g.killComponent(t, tc.member)
		}
		eventually(t, replaceBudget, "a new instance of "+tc.member, func(context.Context) (string, bool) {
			now, runs := g.instances(t)[tc.member]
			return fmt.Sprint(now), runs && now != before[tc.member]
		})
		eventually(t, replaceBudget, "another member in the place of "+tc.member, func(context.Context) (string, bool) {
			now := g.memberID(t, tc.member)
			return now, now != "" && now != member
		})
		g.etcdWhole(t)
		g.healthy(t, nil)
		t.Logf("%s: whole again after %.1fs; last exit: %s", tc.name, time.Since(started).Seconds(), g.lastExit(t, tc.member))
		for component, instance := range g.instances(t) {
			if strings.HasPrefix(component, "etcd-") && component != tc.member && instance != before[component] {
				t.Errorf("%s: %s was restarted", tc.name, component)
			}
		}
		quiet(t, run)
	}
	if err := stop(t, run).Consistent(); err != nil {
		t.Error(err)
	}
}

// memberID is the id of a component in the group of the guest's etcd, as reported; empty for none.
func (g *guest) memberID(t *testing.T, component string) string {
	t.Helper()
	plane, err := g.controlPlane(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if plane.Status.Etcd == nil {
		return ""
	}
	for _, m := range plane.Status.Etcd.Members {
		if component == controlplane.InstanceName(controlplane.Etcd, m.Zone) {
			return m.ID
		}
	}
	return ""
}

// etcdWhole waits until every member of the guest's etcd runs and has a vote.
func (g *guest) etcdWhole(t *testing.T) {
	t.Helper()
	eventually(t, replaceBudget, "every member of etcd to have a vote", func(ctx context.Context) (string, bool) {
		plane, err := g.controlPlane(ctx)
		if err != nil {
			return err.Error(), false
		}
		if plane.Status.Etcd == nil {
			return "nothing is reported", false
		}
		voters := slices.DeleteFunc(slices.Clone(plane.Status.Etcd.Members), func(m v1alpha1.EtcdMember) bool {
			return m.Role != v1alpha1.EtcdLeader && m.Role != v1alpha1.EtcdFollower
		})
		healthy := meta.FindStatusCondition(plane.Status.Conditions, v1alpha1.ConditionEtcdHealthy)
		state := fmt.Sprintf("members %+v, condition %+v", plane.Status.Etcd.Members, healthy)
		return state, len(voters) == len(plane.Spec.Zones) && healthy != nil && healthy.Status == "True"
	})
}

func (g *guest) lastExit(t *testing.T, component string) string {
	t.Helper()
	plane, err := g.controlPlane(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range plane.Status.Components {
		if c.Name == component {
			return c.LastExit
		}
	}
	return ""
}
