package ledger

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// TestNoRoomBeforeTheRest: when a port cannot be booked, the room is not either: a booking is whole once its room is
// booked.
func TestNoRoomBeforeTheRest(t *testing.T) {
	var (
		mu    sync.Mutex
		tried []string
	)
	refused := errors.New("refused")
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	api := fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, api client.WithWatch, object client.Object, options ...client.CreateOption) error {
			mu.Lock()
			tried = append(tried, object.GetName())
			first := len(tried) == 1
			mu.Unlock()
			if first {
				return refused
			}
			return api.Create(ctx, object, options...)
		},
	}).Build()
	store := NewStore(api, api)
	if err := store.Write(t.Context(), Count(source())); !errors.Is(err, refused) {
		t.Fatalf("a Ledger could not be written: %v", err)
	}
	if err := store.Write(t.Context(), Count(source())); err != nil {
		t.Fatal(err)
	}
	if want := []string{"region.r", "region.r", "cell.c"}; !slices.Equal(tried, want) {
		t.Errorf("written %v, want %v", tried, want)
	}
}
