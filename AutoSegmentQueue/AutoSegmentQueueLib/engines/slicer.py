"""placeholder"""
class SlicerEngine:
    name = "slicer-totalsegmentator"
    title = "x"
    def available(self): return "x"
    def segment(self, *a): ...
