package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

const (
	// annotationApplied on what we apply holds the hash of what was applied.
	annotationApplied = "fleet.myriad.dev/applied"
	// annotationTemplate on pods and their templates holds the hash of the whole template.
	annotationTemplate = "fleet.myriad.dev/template"
	// annotationFootprint is only in the cache, in place of the managed fields.
	annotationFootprint = "footprint"
)

// footprint is what an object's managed fields say about who wrote it. Whoever changes the value of a
// field that we applied takes the field over from us or leaves a later time, so while the hash stays
// the same, what we applied is what is there.
type footprint struct {
	hash string
	// disputed: somebody else wrote no earlier than we last applied, or we did by another way.
	disputed bool
}

// footprintOf reads managed fields. Those of subresources (status) are not ours to watch over.
func footprintOf(fields []metav1.ManagedFieldsEntry) footprint {
	var lines []string
	var ours, others time.Time
	for i := range fields {
		entry := &fields[i]
		if entry.Subresource != "" && entry.Manager != objects.FieldOwner {
			continue
		}
		var at time.Time
		if entry.Time != nil {
			at = entry.Time.Time
		}
		raw := []byte(nil)
		if entry.FieldsV1 != nil {
			raw = entry.FieldsV1.GetRawBytes()
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %d %x", entry.Manager, entry.Operation, entry.Subresource, at.Unix(), sha256.Sum256(raw)))
		switch {
		case entry.Manager == objects.FieldOwner && entry.Operation == metav1.ManagedFieldsOperationApply:
			ours = at
		case at.After(others):
			others = at
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return footprint{hash: hex.EncodeToString(sum[:12]), disputed: ours.IsZero() || !others.IsZero() && !others.Before(ours)}
}

const disputed = "!"

func (f footprint) String() string {
	if f.disputed {
		return f.hash + disputed
	}
	return f.hash
}

func parseFootprint(text string) footprint {
	hash, found := strings.CutSuffix(text, disputed)
	return footprint{hash: hash, disputed: found || text == ""}
}
