// Package write changes objects in the hub's API: only when there is something to change, and only
// if nobody else changed the object since it was read.
package write

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// maxMessage bounds a condition's message, in bytes: Kubernetes allows 32 KiB, people read less.
const maxMessage = 4096

// Condition sets a condition. The time of its last transition moves only with its status.
func Condition(conditions *[]metav1.Condition, now time.Time, condition metav1.Condition) {
	condition.LastTransitionTime = metav1.NewTime(now)
	condition.Message = truncate(condition.Message)
	meta.SetStatusCondition(conditions, condition)
}

func truncate(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	cut := maxMessage
	for !utf8.RuneStart(message[cut]) {
		cut--
	}
	return message[:cut] + "…"
}

// Status writes what change does to the status of an object that was read from the cache.
func Status[T client.Object](ctx context.Context, writer client.StatusClient, object T, change func(T)) error {
	return patch(object, change, func(p client.Patch) error { return writer.Status().Patch(ctx, object, p) })
}

// Object writes what change does to everything but the status of an object that was read from the
// cache.
func Object[T client.Object](ctx context.Context, writer client.Writer, object T, change func(T)) error {
	return patch(object, change, func(p client.Patch) error { return writer.Patch(ctx, object, p) })
}

func patch[T client.Object](object T, change func(T), send func(client.Patch) error) error {
	before, ok := object.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("write %T: its copy is no object of the API", object)
	}
	change(object)
	if equality.Semantic.DeepEqual(before, object) {
		return nil
	}
	if err := send(client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("write %T %s: %w", object, client.ObjectKeyFromObject(object), err)
	}
	return nil
}
