package gears

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/hub/index"
)

// TestBusyTenantIsSearchedOnce: of a tenant with many guests that wait for one of them, a pass looks through the guests
// once. All of them wait, also in the next pass.
func TestBusyTenantIsSearchedOnce(t *testing.T) {
	b := newBench(t, cell("c", 100_000), cell("d", 100_000))
	b.guest("c", "team", "shop", fitsSmall)
	var others []string
	for i := range 5 {
		others = append(others, fmt.Sprintf("till-%d", i))
		b.guest("d", "team", others[i], fitsSmall)
	}
	b.pass(0, "c", "d")
	b.pass(31*time.Second, "c", "d")
	b.pass(31*time.Second, "c", "d")
	b.wantGears("the first", "shop", "small/small", "Size nano>small", "Tuning nano>small")
	b.report("shop", func(o *v1alpha1.ControlPlane) { o.Status.Conditions[0].Status = metav1.ConditionFalse })
	for range 2 {
		b.hub = b.newHub()
		searches := 0
		b.hub.client = interceptor.NewClient(b.hub.client.(client.WithWatch), interceptor.Funcs{
			List: func(ctx context.Context, api client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
				asked := client.ListOptions{}
				if asked.ApplyOptions(options); asked.FieldSelector != nil && strings.Contains(asked.FieldSelector.String(), index.Tenant) {
					searches++
				}
				return api.List(ctx, list, options...)
			},
		})
		b.pass(2*time.Minute, "d")
		for _, name := range others {
			if got := b.reason(name); got != gear.ReasonTenantBusy {
				t.Errorf("%s is reported as %s", name, got)
			}
		}
		if searches != 1 {
			t.Errorf("the tenant's guests were looked through %d times", searches)
		}
	}
}
