package ledger

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// TestFetchReadsWhatBelongsTogether: between the reads of a Ledger and its base others fold twice. The base then holds
// later words than the Ledger that was read first.
func TestFetchReadsWhatBelongsTogether(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	ledger := func(name string, port int32) *v1alpha1.Ledger {
		return &v1alpha1.Ledger{ObjectMeta: metav1.ObjectMeta{Name: name}, Bookings: []v1alpha1.Booking{{ID: "g", PlainPort: port}}}
	}
	for _, always := range []bool{false, true} {
		folds := 0
		api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(ledger("cell.c", 1), ledger("cell.c.base", 0)).WithInterceptorFuncs(interceptor.Funcs{
			Get: func(ctx context.Context, api client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
				if key.Name == "cell.c.base" && (always || folds == 0) {
					folds++
					for _, name := range []string{"cell.c", "cell.c.base"} {
						folded := &v1alpha1.Ledger{}
						if err := api.Get(ctx, client.ObjectKey{Name: name}, folded); err != nil {
							return err
						}
						folded.Bookings = nil
						if name == key.Name {
							folded.Bookings = ledger(name, 3).Bookings
						}
						if err := api.Update(ctx, folded); err != nil {
							return err
						}
					}
				}
				return api.Get(ctx, key, object, options...)
			},
		}).Build()
		got, err := Fetch(t.Context(), api, "cell.c")
		switch {
		case always && !apierrors.IsConflict(err):
			t.Errorf("a Ledger that changes at each read: %v", err)
		case !always && (err != nil || len(got.Bookings()) != 1 || got.Bookings()[0].PlainPort != 3):
			t.Errorf("read %+v, error %v; want what was said last", got.Bookings(), err)
		}
	}
}
