"""Evaluation of speech recognition: scores of one or two systems, and a page that shows them."""

from sonant.evaluation.recognition.page import recognition_page
from sonant.evaluation.recognition.report import RecognitionReport, Utterance, evaluate_recognition
from sonant.evaluation.recognition.scores import ErrorRate, Metric

__all__ = ["ErrorRate", "Metric", "RecognitionReport", "Utterance", "evaluate_recognition", "recognition_page"]
