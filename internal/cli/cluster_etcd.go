package cli

import (
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// etcd describes a guest's etcd, once its agent has told of it.
func (d *description) etcd(s *session, status *v1alpha1.EtcdStatus) {
	if status == nil {
		return
	}
	rows := make([][]string, 0, len(status.Members))
	for _, m := range status.Members {
		rows = append(rows, []string{m.Zone, string(m.Role), sizeText(m.DatabaseBytes), sizeText(m.DatabaseInUseBytes), m.Alarm})
	}
	d.section("Etcd", []string{"ZONE", "ROLE", "DATABASE", "IN USE", "ALARM"}, rows)
	if snapshot := status.LastSnapshot; snapshot != nil {
		d.section("Last snapshot of etcd", []string{"NAME", "SIZE", "AGE"}, [][]string{
			{snapshot.Name, sizeText(snapshot.Bytes), s.age(snapshot.Time)},
		})
	}
}

// sizeText writes a size with a binary unit, rounded up to whole ones.
func sizeText(n int64) string {
	if n == 0 {
		return "-"
	}
	const mebibyte = 1 << 20
	if n >= mebibyte {
		n = (n + mebibyte - 1) / mebibyte * mebibyte
	}
	return resource.NewQuantity(n, resource.BinarySI).String()
}
