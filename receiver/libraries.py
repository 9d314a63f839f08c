"""OpenCV before PyAV, here and nowhere else: the other way round OpenCV's window hangs (both wheels bundle libxcb)."""

import cv2 as cv2  # isort: skip
import av as av  # isort: skip
