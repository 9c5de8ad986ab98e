package volumes

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
)

// newTestController keeps its volumes in a directory of the test.
func newTestController(t *testing.T, claims []*corev1.PersistentVolumeClaim, volumes []*corev1.PersistentVolume) (*Controller, *fake.Clientset, string) {
	t.Helper()
	directory, client := t.TempDir(), fake.NewClientset()
	for _, volume := range volumes {
		if err := client.Tracker().Add(volume); err != nil {
			t.Fatal(err)
		}
	}
	return &Controller{
		client: client, log: slog.New(slog.DiscardHandler),
		directory: func(string) (string, error) { return directory, nil },
		claims:    func() ([]*corev1.PersistentVolumeClaim, error) { return claims, nil },
		volumes:   func() ([]*corev1.PersistentVolume, error) { return volumes, nil },
		class: func(name string) (*storagev1.StorageClass, error) {
			switch name {
			case "local":
				return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: Provisioner}, nil
			case "other":
				return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "example.com/other"}, nil
			}
			return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "storageclasses"}, name)
		},
	}, client, directory
}

func claim(change func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "one", Name: "data", UID: "u1", Annotations: map[string]string{selectedNode: "lab-a"}},
		Spec:       corev1.PersistentVolumeClaimSpec{StorageClassName: new("local")},
	}
	change(c)
	return c
}

func TestProvision(t *testing.T) {
	for _, test := range []struct {
		name, reason string
		change       func(*corev1.PersistentVolumeClaim)
		made         bool
	}{
		{"waiting", "its pod has a node", func(*corev1.PersistentVolumeClaim) {}, true},
		{"unscheduled", "no node is chosen yet", func(c *corev1.PersistentVolumeClaim) { c.Annotations = nil }, false},
		{"bound", "it has a volume", func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "v" }, false},
		{"of another class", "another provisioner's", func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = new("other") }, false},
		{"of no known class", "nobody's", func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = new("gone") }, false},
		{"going", "it would be orphaned", func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = &metav1.Time{} }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			controller, client, directory := newTestController(t, []*corev1.PersistentVolumeClaim{claim(test.change)}, nil)
			for range 2 { // again, before the claim is bound
				if err := controller.reconcile(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			volumes, err := client.CoreV1().PersistentVolumes().List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			info, statErr := os.Stat(filepath.Join(directory, "pvc-u1"))
			if made := len(volumes.Items) == 1 && statErr == nil; made != test.made {
				t.Fatalf("%s: volumes %v, directory %v", test.reason, volumes.Items, statErr)
			}
			if test.made && info.Mode().Perm() != 0o777 {
				t.Errorf("the directory has mode %s: pods of any user write there", info.Mode())
			}
		})
	}
}

func TestReclaim(t *testing.T) {
	for _, test := range []struct {
		name, reason string
		change       func(*corev1.PersistentVolume)
		removed      bool
	}{
		{"released", "its claim is gone", func(*corev1.PersistentVolume) {}, true},
		{"bound", "it is in use", func(v *corev1.PersistentVolume) { v.Status.Phase = corev1.VolumeBound }, false},
		{"kept", "its policy says so", func(v *corev1.PersistentVolume) {
			v.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
		}, false},
		{"another's", "another made it", func(v *corev1.PersistentVolume) { v.Annotations = nil }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "v")
			if err := os.MkdirAll(filepath.Join(path, "member"), 0o700); err != nil {
				t.Fatal(err)
			}
			volume := &corev1.PersistentVolume{
				ObjectMeta: metav1.ObjectMeta{Name: "v", Annotations: map[string]string{provisionedBy: Provisioner}},
				Spec: corev1.PersistentVolumeSpec{
					PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
					PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
				},
				Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeReleased},
			}
			test.change(volume)
			controller, client, _ := newTestController(t, nil, []*corev1.PersistentVolume{volume})
			if err := controller.reconcile(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, err := client.CoreV1().PersistentVolumes().Get(context.Background(), "v", metav1.GetOptions{})
			_, statErr := os.Stat(path)
			if apierrors.IsNotFound(err) != test.removed || os.IsNotExist(statErr) != test.removed {
				t.Errorf("%s: volume %v, directory %v", test.reason, err, statErr)
			}
		})
	}
}
