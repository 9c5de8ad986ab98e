package write

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// FieldOwner owns what Myriad applies.
const FieldOwner = client.FieldOwner("myriad")

// Apply puts objects in place by server-side apply, in order: what is already so is not written.
func Apply(ctx context.Context, writer client.Writer, objects ...runtime.ApplyConfiguration) error {
	for _, object := range objects {
		if err := writer.Apply(ctx, object, FieldOwner, client.ForceOwnership); err != nil {
			return fmt.Errorf("apply %s: %w", describe(object), err)
		}
	}
	return nil
}

func describe(object runtime.ApplyConfiguration) string {
	named, ok := object.(interface {
		GetKind() *string
		GetName() *string
		GetNamespace() *string
	})
	if !ok || named.GetKind() == nil || named.GetName() == nil {
		return fmt.Sprintf("%T", object)
	}
	if namespace := named.GetNamespace(); namespace != nil {
		return fmt.Sprintf("%s %s/%s", *named.GetKind(), *namespace, *named.GetName())
	}
	return fmt.Sprintf("%s %s", *named.GetKind(), *named.GetName())
}
