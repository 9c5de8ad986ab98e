package write

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func TestVersions(t *testing.T) {
	at := func(version string) *v1alpha1.Cluster {
		return &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "web", ResourceVersion: version}}
	}
	var v Versions
	if v.Stale(at("7")) {
		t.Error("nothing was written, and an object is stale")
	}
	v.Wrote(at("12"))
	v.Wrote(at("9")) // two writers: the later one was told first
	if !v.Stale(at("9")) {
		t.Error("an object from before the last write is not stale")
	}
	if v.Stale(at("12")) || v.Stale(at("100")) {
		t.Error("an object as it was written, or newer, is stale")
	}
	v.Wrote(at("200"))
	v.Forget(client.ObjectKeyFromObject(at("")))
	if v.Stale(at("150")) {
		t.Error("what was forgotten still counts")
	}
	v.Wrote(at("no number"))
	if v.Stale(at("no number")) {
		t.Error("versions that are no numbers say nothing")
	}
}
