"""The heap of the driver's JVM, which by itself keeps most of what it has touched once."""

from __future__ import annotations

from typing import Any

# A heap that works is right to keep 40 to 70 percent of itself free, as the JVM has it by default.
LEAST, MOST = ("MinHeapFreeRatio", "5"), ("MaxHeapFreeRatio", "10")


def give_back(gateway: Any) -> None:
    """Collects garbage, and returns to the system what is free then but a tenth. Raises what py4j does."""
    flags = _Flags(gateway)
    least, most = flags.get(LEAST[0]), flags.get(MOST[0])
    try:
        flags.set(*LEAST)
        flags.set(*MOST)
        gateway.jvm.System.gc()
    finally:
        flags.set(MOST[0], most)
        flags.set(LEAST[0], least)


class _Flags:
    """Options that a JVM lets be changed while it runs."""

    def __init__(self, gateway: Any) -> None:
        self._gateway, java = gateway, gateway.jvm.java.lang
        text = java.Class.forName("java.lang.String")
        # Through the interface and its methods: the class behind it is of a module that is closed to py4j.
        interface = java.Class.forName("com.sun.management.HotSpotDiagnosticMXBean")
        self._bean = java.management.ManagementFactory.getPlatformMXBean(interface)
        self._get = interface.getMethod("getVMOption", self._array(java.Class, text))
        self._set = interface.getMethod("setVMOption", self._array(java.Class, text, text))

    def get(self, name: str) -> str:
        value: str = self._get.invoke(self._bean, self._array(self._gateway.jvm.Object, name)).getValue()
        return value

    def set(self, name: str, value: str) -> None:
        self._set.invoke(self._bean, self._array(self._gateway.jvm.Object, name, value))

    def _array(self, kind: Any, *values: Any) -> Any:
        array = self._gateway.new_array(kind, len(values))
        for i, value in enumerate(values):
            array[i] = value
        return array
