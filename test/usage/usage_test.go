package usage

import (
	"os"
	"testing"
)

func TestRollup(t *testing.T) {
	const text = "00400000-7ffd rollup\nRss:  2048 kB\nPss:  1024 kB\nPss_Anon: 512 kB\n"
	for field, want := range map[string]float64{"Rss": 2, "Pss": 1} {
		if got, err := rollup(text, field); err != nil || got != want {
			t.Errorf("%s: want %v MiB, got %v, %v", field, want, got, err)
		}
	}
	if _, err := rollup(text, "Swap"); err == nil {
		t.Error("a field that is not there is no size")
	}
}

func TestOwn(t *testing.T) {
	for name, read := range map[string]func(int) (float64, error){"CPU": CPUSeconds, "PSS": PSS, "RSS": RSS} {
		if got, err := read(os.Getpid()); err != nil || got < 0 || name != "CPU" && got == 0 {
			t.Errorf("%s of this process: %v, %v", name, got, err)
		}
		if _, err := read(0); err == nil {
			t.Errorf("%s of no process is known", name)
		}
	}
}
