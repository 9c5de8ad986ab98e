package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func podOf(ready corev1.ConditionStatus, restarts ...int32) corev1.Pod {
	pod := corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: ready},
	}}}
	for _, count := range restarts {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{RestartCount: count})
	}
	return pod
}

func TestPodsSettled(t *testing.T) {
	ready, starting := podOf(corev1.ConditionTrue, 1, 0), podOf(corev1.ConditionFalse, 2)
	if !allReady([]corev1.Pod{ready}) || allReady([]corev1.Pod{ready, starting}) || allReady([]corev1.Pod{{}}) {
		t.Error("pods have settled when each has a condition Ready that is True")
	}
	if got := restartsOf([]corev1.Pod{ready, starting}); got != 3 {
		t.Errorf("want 3 restarts, got %d", got)
	}
}

func TestVolumesOf(t *testing.T) {
	volume := func(name, namespace string) corev1.PersistentVolume {
		v := corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if namespace != "" {
			v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: namespace}
		}
		return v
	}
	own := volumesOf("x", []corev1.PersistentVolume{volume("1", "x"), volume("2", "y"), volume("3", ""), volume("4", "x")})
	if len(own) != 2 || own[0].Name != "1" || own[1].Name != "4" {
		t.Errorf("want 1 and 4, got %v", own)
	}
}

func TestFilesOf(t *testing.T) {
	directory := t.TempDir()
	want := []string{filepath.Join(directory, "orders", "x7.json"), filepath.Join(directory, "x7")}
	for _, path := range []string{"orders", "x7", "y8"} {
		if err := os.Mkdir(filepath.Join(directory, path), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(want[0], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := filesOf("x7", directory); err != nil || !slices.Equal(got, want) {
		t.Errorf("want %v, got %v, %v", want, got, err)
	}
	if got, err := filesOf("x7", filepath.Join(directory, "none")); err != nil || len(got) != 0 {
		t.Errorf("want nothing where nothing is, got %v, %v", got, err)
	}
}
